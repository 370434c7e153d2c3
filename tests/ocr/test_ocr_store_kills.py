"""kill -9 at random moments: what `append` returned from is there, and nothing is there twice."""

import collections
import os
import pathlib
import random
import signal
import subprocess
import sys

import pytest

from posterfusion_jax.ocr.records.store import RecordWriter, load_records

HELPERS = pathlib.Path(__file__).resolve().parents[1] / "helpers"
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{HELPERS.parents[1]}{os.pathsep}{HELPERS}"}


def start(path: pathlib.Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, HELPERS / "appending.py", path, name]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)


def kill_after(process: subprocess.Popen[str], lines: int) -> list[str]:
    """The images whose `append` had returned."""
    assert process.stdout is not None
    printed = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    with process:
        printed += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL  # and not by an error of its own
    return [line.strip() for line in printed if line.endswith("\n")]


@pytest.mark.parametrize("names", [("one",), ("one", "two")], ids=["one writer", "two writers"])
def test_twenty_kills_lose_nothing(tmp_path, names):
    path = tmp_path / "ocr.jsonl"
    rng = random.Random(0)
    returned = set()
    for _ in range(20 // len(names)):
        processes = [start(path, name) for name in names]
        for process in processes:
            returned.update(kill_after(process, rng.randrange(1, 60)))
        images = collections.Counter(r.text.strip() for r in load_records([path]))
        assert returned <= images.keys()
        assert set(images.values()) == {1}
        assert len(images) <= len(returned) + 20  # each kill may leave a record whose `append` did not return
    records = RecordWriter(path)
    assert len(records) == len(images)
    with records:
        records.open()
    torn = [line.reason for line in records.skipped]
    assert len(torn) <= (0 if len(names) == 1 else 20), torn
