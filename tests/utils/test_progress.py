"""Progress: bars that are redrawn on a terminal, whole lines at most every half minute anywhere else."""

import ast
import contextlib
import io
import os
import pathlib
import pty
import re
import subprocess
import sys
import termios

import pytest

from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.synthetic import generator
from posterfusion_jax.utils import progress
from posterfusion_jax.utils.progress import LogBar, TerminalBar, bar_class, progress_bar

ROOT = pathlib.Path(__file__).parents[2]


class Clock:
    """A clock for tqdm and for `LogBar`."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress.time, "time", clock)
    monkeypatch.setattr(progress.time, "monotonic", clock)
    monkeypatch.setattr("tqdm.std.time", clock)
    return clock


def test_a_log_gets_a_line_every_half_minute_and_one_at_the_end(clock, capsys):
    with progress_bar(total=1000, desc="OCR", unit="poster") as bar:
        for step in range(1000):  # 100 s
            clock.now += 0.1
            bar.update()
            bar.set_postfix(loss=f"{step:.1f}")  # asks for a refresh, every time
            bar.refresh()
    log = capsys.readouterr().err
    lines = log.split("\n")
    assert "\r" not in log
    assert lines.pop() == ""
    steps = [int(re.search(r"(\d+)/1000 ", line)[1]) for line in lines]
    assert steps == [pytest.approx(300, abs=2), pytest.approx(600, abs=4), pytest.approx(900, abs=6), 1000]
    assert all(line.startswith("OCR: ") and line == line.rstrip() and line.isascii() for line in lines)


def test_a_line_of_the_training_fits_80_columns(clock, capsys):
    with progress_bar(total=7440, desc="train", unit="step") as bar:
        bar.update(7440)
        bar.set_postfix(epoch=24, loss="0.0035", val_f1="0.586", waited=4)
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) <= 80
    assert "loss=0.0035, val_f1=0.586" in line


@pytest.mark.parametrize("seconds", [0.0, 29.0])
def test_what_takes_less_has_one_line(clock, capsys, seconds):
    for _ in progress_bar(iterable=range(8), desc="drawing posters", unit="film"):
        clock.now += seconds / 8
    log = capsys.readouterr().err
    assert log.count("\n") == 1
    assert "drawing posters: 100%" in log


def test_bars_that_vanish_are_late_or_off_have_no_last_line(clock, capsys):
    for options in ({"leave": False}, {"delay": 2}, {"disable": True}):
        with progress_bar(total=3, desc="Indexing", **options) as bar:
            clock.now += 1
            bar.update(3)
        assert capsys.readouterr().err == "", options


def test_a_bar_that_is_left_by_an_exception_shows_how_far_it_came(clock, capsys):
    with contextlib.suppress(KeyboardInterrupt), progress_bar(total=4, desc="train") as bar:
        bar.update(3)
        raise KeyboardInterrupt
    log = capsys.readouterr().err
    assert log.startswith("train:  75%")
    assert log.count("\n") == 1


def test_several_bars_in_one_process_and_names_of_files(clock, capsys):
    for name in ("a\rb", "c\nd"):
        with progress_bar(total=1, desc=name) as outer, progress_bar(total=1, desc="inner") as inner:
            inner.update()
            outer.update()
    log = capsys.readouterr().err
    assert log.count("\n") == 4
    assert "a\\rb: 100%" in log
    assert "c\\nd: 100%" in log


class Stream(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.mark.parametrize(
    ("terminal", "term", "kind"),
    [(True, "xterm", TerminalBar), (True, None, TerminalBar), (True, "dumb", LogBar), (False, "xterm", LogBar)],
)
def test_what_counts_as_a_terminal(monkeypatch, terminal, term, kind):
    monkeypatch.setattr(sys, "stderr", Stream(terminal))
    monkeypatch.delenv("TERM", raising=False)
    if term:
        monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", "1")  # bars have none
    assert bar_class() is kind


def test_without_any_stderr_there_is_no_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with progress_bar(total=3, desc="OCR") as bar:
        bar.update(3)


@pytest.mark.parametrize("columns", [80, 20, 0])  # 0: unknown
def test_a_terminal_has_a_bar_that_is_redrawn(columns):
    program = (
        "import time\nfrom posterfusion_jax.utils.progress import progress_bar\n"
        "for _ in progress_bar(iterable=range(4), desc='OCR', unit='poster', mininterval=0): time.sleep(.01)\n"
    )
    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, columns)) if hasattr(termios, "tcsetwinsize") else None
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT)}
    environment.pop("COLUMNS", None)
    done = subprocess.run([sys.executable, "-c", program], stderr=terminal, env=environment, timeout=60)
    os.close(terminal)
    drawn = b""
    while True:
        try:
            drawn += os.read(controller, 4096)
        except OSError:  # Linux: all is read
            break
        if drawn.endswith(b"\n"):
            break
    os.close(controller)
    assert done.returncode == 0
    assert drawn.count(b"\r") >= 4
    assert b"OCR: 100%" in drawn
    assert b"4/4" in drawn


def test_no_other_module_draws_a_bar_of_its_own():
    for path in sorted((ROOT / "posterfusion_jax").rglob("*.py")):
        imported = {
            name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        }
        assert path.name == "progress.py" or "tqdm" not in imported, path


def test_stages_that_log_to_a_file_write_whole_lines(tmp_path, capsys):
    posters = tmp_path / "posters"
    generator.draw_folder(posters, films=12, width=120, progress=True)
    build_dataset(posters, tmp_path / "data")
    build_dataset(posters, tmp_path / "data")
    log = capsys.readouterr().err
    assert "\r" not in log
    for stage in ("drawing posters", "checking images", "hashing posters"):
        assert len(re.findall(rf"^{stage}: 100%.*\n", log, re.MULTILINE)) == 1, stage
