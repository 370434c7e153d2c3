"""The console command: its verbs, their flags and help, and what is refused."""

import contextlib
import os
import pathlib
import subprocess
import sys

import pytest

from posterfusion_jax import __version__
from posterfusion_jax.cli import verbs
from posterfusion_jax.cli.verbs import VERBS, format_help, format_verb_help, run_command

ROOT = pathlib.Path(__file__).parents[2]
STAGE_VERBS = [name for name, verb in VERBS.items() if verb.flags]
PROGRAMS = [name for name, verb in VERBS.items() if not verb.flags]
COMMAND = [sys.executable, "-c", "from posterfusion_jax.main import cli; cli()"]  # as the installed script does


def call(*arguments, **options):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([*COMMAND, *map(str, arguments)], env=environment, text=True, timeout=300, **options)


def started(*arguments):
    """The flags with which `posterfusion_jax.main` starts; None where it does not."""
    found = []
    status = run_command(arguments, lambda flags: found.append(list(flags)))
    assert bool(found) == (status == 0)
    return found[0] if found else None


def test_help_fits_a_screen_and_names_every_verb():
    lines = format_help().splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line.startswith("  ") and "posterfusion" not in line] == list(VERBS)
    assert sum(line.startswith("  posterfusion ") for line in lines) == 3


@pytest.mark.parametrize("name", STAGE_VERBS)
def test_help_of_a_verb_has_its_flags_and_no_others(name):
    text = format_verb_help(name)
    assert max(map(len, text.splitlines())) <= 80
    shown = text[text.index("flags:") : text.index("examples:")]
    for flag, (written, _) in verbs._FLAGS.items():
        assert (written in shown) == (flag in VERBS[name].flags), flag
    assert f"posterfusion {name} --" in text[text.index("examples:") :]


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_of_a_program_fits_80_columns(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        run_command([name, "--help"], pytest.fail)
    text = capsys.readouterr().out
    assert end.value.code == 0
    assert text.startswith(f"usage: posterfusion {name} ")
    assert f"    posterfusion {name} --" in text or f"    posterfusion {name} runs" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        (["train", "--config=paper"], ["--config=paper"]),
        (["ocr", "--config=paper", "--retry", "error"], ["--mode=ocr", "--config=paper", "--retry", "error"]),
        (["evaluate", "--workdir=w"], ["--mode=evaluate", "--workdir=w"]),
        (["predict", "--workdir=w", "a.jpg", "--nojson"], ["--mode=predict", "--workdir=w", "a.jpg", "--nojson"]),
        (["predict", "--workdir=w", "--", "--mode"], ["--mode=predict", "--workdir=w", "--", "--mode"]),
        (["build", "--config=x", "--config.train.batch_size", "3"], ["--mode=build", "--config=x"]),
        (["--config=paper", "--mode=ocr"], ["--config=paper", "--mode=ocr"]),
    ],
)
def test_a_verb_stands_for_a_mode(arguments, flags):
    assert started(*arguments)[: len(flags)] == flags


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian", "--config=paper"], "'trian' is no verb of posterfusion. Did you mean 'train'?"),
        (["evalute"], "Did you mean 'evaluate'?"),
        (["Predict", "a.jpg"], "Did you mean 'predict'?"),
        (["poster.jpg"], "There are train, predict"),
        (["train", "--json", "--config=paper"], "--json is no flag of posterfusion train, but of predict"),
        (["train", "--nojson"], "--json is no flag of posterfusion train"),
        (["predict", "--workdir=w", "a.jpg", "--retry=error"], "--retry is no flag of posterfusion predict, but of ocr"),
        (["ocr", "--threshold", "tuned"], "--threshold is no flag of posterfusion ocr"),
        (["report", "--mode=train"], "--mode is replaced by the verb"),
    ],
)
def test_what_no_verb_takes_is_refused(arguments, message, capsys):
    assert started(*arguments) is None
    assert message in capsys.readouterr().err


def test_without_arguments_it_prints_the_help_and_fails(capsys):
    assert run_command([], pytest.fail) == 2
    out, error = capsys.readouterr()
    assert (out, error) == ("", format_help() + "\n")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--help"], format_help()),
        (["-h"], format_help()),
        (["help"], format_help()),
        (["help", "train"], format_verb_help("train")),
        (["predict", "a.jpg", "-h"], format_verb_help("predict")),
        (["ocr", "--config=paper", "--help"], format_verb_help("ocr")),
        (["--version"], f"posterfusion {__version__}"),
    ],
)
def test_help_and_version_are_printed(arguments, shown, capsys):
    assert run_command(arguments, pytest.fail) == 0
    assert capsys.readouterr().out == shown + "\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "name a config"),
        (["train", "--config=papr"], "Did you mean --config=paper?"),
        (["train", "--config=paper", "--wrkdir=x"], "wrkdir"),
        (["train", "--config=paper", "--config.train.lerning_rate=1"], "Did you mean train.learning_rate"),
        (["train", "--config=paper", "poster.jpg"], "'poster.jpg' is not a flag. Only prediction takes files"),
        (["predict", "--workdir=/nonexistent", "poster.jpg", "--json"], "holds no checkpoint"),
        (["tables", "--results=/nonexistent"], "Run launch/reproduce.py or posterfusion reproduce"),
        (["compare", "/nonexistent/a", "/nonexistent/b"], "there is no folder"),
    ],
)
def test_errors_are_one_message(arguments, message, tmp_path):
    result = call(*arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--help"], ["tables", "--compact"], ["train", "--help"]])
def test_a_pipe_that_is_closed_early_is_no_traceback(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    with contextlib.closing(os.fdopen(writer, "w")) as stdout:
        result = call(*arguments, stdout=stdout, cwd=ROOT)
    assert result.returncode == 141, result.stderr
    assert result.stderr == ""


def test_the_entry_point_is_declared():
    import tomllib

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"posterfusion": "posterfusion_jax.main:cli"}
