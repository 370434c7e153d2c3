# ruff: noqa: RUF001 (letters of other scripts)
"""Nothing that a stranger wrote moves a cursor, turns a line, or begins one."""

import ast
import io
import pathlib
import subprocess
import sys
import time
import unicodedata

import pytest
from hostile_texts import TEXTS

from posterfusion_jax.utils.console import MARKS, WIDEST, plain_lines, print_message, sanitize, wrap_lines

ROOT = pathlib.Path(__file__).parents[2]
SHOWN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # categories of which nothing may be shown
JOINERS = "\u200c\u200d"


def is_harmless(text: str) -> bool:
    return not any(unicodedata.category(c) in SHOWN and c not in JOINERS for c in text)


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_but_what_can_be_seen_is_left(name):
    started = time.monotonic()
    shown = sanitize(TEXTS[name])
    assert is_harmless(shown)
    assert len(shown) <= WIDEST
    assert len(sanitize(TEXTS[name], width=10)) <= 10
    assert sanitize(shown) == shown
    assert time.monotonic() - started < 1


def test_what_people_write_stays():
    for text in (
        "ALIEN (1979)",
        "Amélie",
        "Cafe\u0301",
        "エイリアン",
        "عروس",
        "नमस्ते",
        "می\u200cخواهم",
        "👨\u200d👩\u200d👧",
        "[0m",
        "a\\b",
    ):
        assert sanitize(text) == text


def test_what_does_not_is_told_as_python_would():
    assert sanitize("a\x1b[2J\u202e\n\ud800") == "a\\x1b[2J\\u202e\\n\\ud800"
    assert sanitize("no\u00a0one\u3000hears") == "no one hears"
    assert sanitize("a" + "\u0301" * 50) == "a" + "\u0301" * MARKS
    assert sanitize("abcdef", width=5) == "ab..."
    assert sanitize("abcde", width=5) == "abcde"
    assert plain_lines("a\n\tb\r\n") == "a\n\\tb\\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_every_text_can_be_said_on_every_stream(monkeypatch, encoding):
    for error, stream in ((False, "stdout"), (True, "stderr")):
        written = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, stream, written)
        for text in (*TEXTS.values(), "Amélie エイリアン"):
            print_message(f"error: {text[:2000]}", error=error)
        written.seek(0)
        assert all(is_harmless(line.rstrip("\n")) for line in written)


def test_logs_and_tracebacks_of_programs_are_plain_too(tmp_path):
    program = (
        "import logging\nfrom posterfusion_jax.utils.console import sanitize_logging\nsanitize_logging()\n"
        "text = 'A\\x1b]52;c;eA==\\x07\\u202e'\nlogging.warning('%s', text)\nraise RuntimeError(text)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 1
    assert "WARNING: A\\x1b]52;c;eA==\\x07\\u202e\n" in done.stderr
    assert "RuntimeError: A\\x1b]52" in done.stderr
    assert all(is_harmless(line) for line in done.stderr.split("\n"))


def test_everything_for_people_is_said_and_not_printed():
    """print() shows what it is given as it is; JSON, which escapes all that is not ASCII, may be printed."""
    launchers = sorted((ROOT / "launch").glob("*.py"))
    for path in (*sorted((ROOT / "posterfusion_jax").rglob("*.py")), *launchers):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "print" and path.name != "console.py":
                assert ast.unparse(node.args[0]).startswith("json.dumps("), f"{path}:{node.lineno}"
            if isinstance(node, ast.Attribute):
                assert ast.unparse(node) not in ("sys.stdout.write", "sys.stderr.write"), f"{path}:{node.lineno}"
    for path in launchers:  # `run_program`, by which the programs in posterfusion_jax/cli run, does it for them
        text = path.read_text()
        assert "    sanitize_logging()\n" in text or "from posterfusion_jax.cli." in text, path


def test_long_lines_are_wrapped_at_spaces_and_short_ones_stay():
    table = "           posters  films\ntrain          986    312"
    path = "left out: /" + 30 * "a-long/"
    text = f"{table}\n  note: {' '.join(30 * ['word'])}\n{path}\n"
    lines = wrap_lines(text).split("\n")
    assert "\n".join(lines[:2]) == table
    assert lines[2].startswith("  note: word word")
    assert lines[3].startswith("      word")
    assert max(map(len, lines[:5])) <= 80
    assert path.split()[-1] in "\n".join(lines)  # a path stays whole
    assert lines[-1] == ""
    assert " ".join(wrap_lines(text).split()) == " ".join(text.split())
