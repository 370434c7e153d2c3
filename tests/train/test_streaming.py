"""Training on tokens that are streamed from disk holds a few batches, not the store."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from token_store import write_token_store

PROGRAM = pathlib.Path(__file__).parents[1] / "helpers" / "stream_tokens.py"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_token_store(tmp_path_factory.mktemp("streamed") / "features", 5120, image_tokens=50, text_tokens=77, width=256)


def grown(how, store):
    at_once = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed goes back to the system at once
    done = subprocess.run(
        [sys.executable, PROGRAM, how, store.folder], env=os.environ | at_once, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["grown"]


@pytest.mark.skipif(not pathlib.Path("/proc/self/status").is_file(), reason="memory is read from Linux' /proc")
@pytest.mark.slow
def test_memory_does_not_grow_with_the_store(store):
    size = sum(file.stat().st_size for file in store.folder.rglob("*_tokens.npy"))
    assert size > 320e6
    assert grown("load", store) > 0.9 * size  # so the measurement sees what it should
    assert grown("stream", store) < 0.4 * size  # the same 60 to 90 MB for a store of any size
