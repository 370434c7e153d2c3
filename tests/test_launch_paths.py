"""The scripts in launch/ and paths: folders of cells, values with commas, homes, URLs."""

import os
import pathlib
import subprocess
import sys

import pytest

from posterfusion_jax.cli import sweep

ROOT = pathlib.Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("values", "name"),
    [((), "default"), (("fusion", "0.1"), "fusion-0.1"), (("openai/clip", "x"), "openai/clip-x"), (("[a]*? {}",), "[a]*? {}")],
)
def test_cells_keep_the_names_that_they_had(values, name):
    assert sweep._cell_name(values) == name


@pytest.mark.parametrize("values", [("/etc/clip",), ("../..", "x"), ("a/../../b",), ("..",), ("n" * 300,), ("/",)])
def test_no_value_leads_a_cell_out_of_the_root(values, tmp_path):
    folder = (tmp_path / sweep._cell_name(values)).resolve()
    assert folder.parent == tmp_path
    folder.mkdir()
    assert sweep._cell_name(values) != sweep._cell_name((*values, "other"))


def call(script, *flags):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "HOME": "/nonexistent/no home"}
    command = [sys.executable, ROOT / "launch" / f"{script}.py", *flags]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "flags", "words"),
    [
        ("sweep", ["--config=x.py", "--root=gs://bucket/x"], "is a URL"),
        ("reproduce", ["--posters=x", "--root=$NOWHERE_TO_BE/x"], "'NOWHERE_TO_BE'"),
        ("compare", ["~no-such-user/a", "b"], "'no-such-user'"),
        ("tables", ["--results=s3:/x"], "is a URL"),
        ("ocr_records", ["show", "~/absent.jsonl"], "/nonexistent/no home/absent.jsonl"),
        ("ocr_quality", ["--posters=x", "--records=$NOWHERE_TO_BE/x"], "'NOWHERE_TO_BE'"),
    ],
)
def test_what_a_script_cannot_use_is_one_message(script, flags, words):
    done = call(script, *flags)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
