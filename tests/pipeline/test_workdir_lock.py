"""One process per workdir: the second learns who holds the lock, which ends with its holder."""

import os
import signal
import subprocess
import sys

import pytest

from posterfusion_jax.errors import InputError
from posterfusion_jax.pipeline.workdir import lock_workdir

HOLDER = """
import pathlib, sys, time
from posterfusion_jax.pipeline.workdir import lock_workdir
with lock_workdir(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_second_process_is_told_who_holds_it_and_gets_it_after_a_kill(holder, tmp_path):
    with (
        pytest.raises(InputError, match=f"{tmp_path} is in use by process {holder.pid} on .* since 20.* Wait until"),
        lock_workdir(tmp_path),
    ):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with lock_workdir(tmp_path):
        assert str(os.getpid()) in (tmp_path / "lock").read_text()


def test_it_can_be_held_again_afterwards_and_a_new_folder_is_made(tmp_path):
    for _ in range(2):
        with lock_workdir(tmp_path / "a" / "b"):
            pass


def test_a_holder_that_says_nothing_still_counts(holder, tmp_path):
    (tmp_path / "lock").write_text("")
    with pytest.raises(InputError, match="is in use by another process"), lock_workdir(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"), lock_workdir(tmp_path / "file" / "workdir"):
        pass
