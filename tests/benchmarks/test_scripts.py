"""Every benchmark can be started: what it imports exists, and it knows the flags that the list of questions gives it."""

import importlib
import pathlib
import pkgutil
import subprocess
import sys

import pytest

import benchmarks
from benchmarks.all import QUESTIONS

ROOT = pathlib.Path(__file__).parent.parent.parent
RIVALS = {"torch", "onnx", "datasets", "keras"}  # installed by who wants to compare
SCRIPTS = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.ispkg)


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_it_imports_exists(name):
    try:
        importlib.import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as error:
        if error.name not in RIVALS:
            raise
        pytest.skip(f"{error.name} is not installed")


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions_name_a_script_and_its_flags(name):
    question = QUESTIONS[name]
    assert question.script in SCRIPTS
    source = (ROOT / "benchmarks" / f"{question.script}.py").read_text()
    for flag in question.flags:
        assert f'"{flag.partition("=")[0]}"' in source, flag


def test_a_question_that_needs_what_was_not_given_is_left_out_and_named():
    command = [sys.executable, "-m", "benchmarks.all", "--run=ten_runs_clip_add,extract_bfloat16"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 1
    assert "left out: it needs --posters" in run.stdout
    assert "left out: it needs --torch-python" in run.stdout
    assert "ten_runs_clip_add, extract_bfloat16" in run.stderr
