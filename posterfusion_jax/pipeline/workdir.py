"""Workdir of a run: its saved config and its lock."""

import contextlib
import fcntl
import json
import logging
import os
import pathlib
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

from posterfusion_jax.checkpoints.meta import read_latest_meta, saved_epochs
from posterfusion_jax.config import defaults
from posterfusion_jax.config import run as config_lib
from posterfusion_jax.config.run import Run
from posterfusion_jax.errors import InputError


def saved_config(workdir: pathlib.Path) -> dict[str, Any] | None:
    """Return the config of the latest checkpoint, with current defaults for newer fields; None without a checkpoint."""
    meta = read_latest_meta(workdir / "checkpoints")
    return None if meta is None else config_lib.complete(meta["config"], config_lib.to_json(defaults.get_config()))


def saved_run(workdir: pathlib.Path) -> Run:
    """Return the run of a workdir, from its checkpoint alone. Raises InputError if there is none."""
    saved = saved_config(workdir)
    if saved is None:
        raise InputError(f"--workdir={workdir} holds no checkpoint. Train first, or name the workdir of a trained run.")
    return config_lib.resolve(config_lib.from_json(saved), workdir, saved=True)


def check_trained(workdir: pathlib.Path) -> None:
    """Raise InputError if a workdir has no checkpoint; create nothing."""
    if not saved_epochs(workdir / "checkpoints"):
        raise InputError(f"--workdir={workdir} holds no checkpoint. Train first, or name the workdir of a trained run.")


@contextlib.contextmanager
def lock_workdir(workdir: pathlib.Path) -> Iterator[None]:
    """Lock a workdir against other processes. The system releases the lock when the process ends, even if it is killed.

    Raises:
      InputError: another process, named in the message, works in it, or it cannot be written.
    """
    path = workdir / "lock"
    existing = next(folder for folder in (workdir, *workdir.absolute().parents) if os.path.lexists(folder))
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise InputError(f"--workdir={workdir} cannot be written: {error.strerror or error}. Name one that can be.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"--workdir={workdir} is in use by {_lock_owner(path)}. Wait until that ends, stop it, or name another workdir."
            ) from None
        except OSError as error:  # some network file systems have no locks
            logging.warning("%s cannot be locked (%s): start no second process in this workdir.", path, error.strerror)
        file.truncate(0)
        who = {"process": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        file.write(json.dumps({**who, "command": sys.argv}) + "\n")
        file.flush()
        try:
            yield
        except InputError:
            if existing != workdir:
                _remove_empty(workdir, existing)
            raise


def _remove_empty(workdir: pathlib.Path, existing: pathlib.Path) -> None:
    """Remove a workdir that has nothing but the lock file, and the parent folders created for it."""
    if [entry.name for entry in workdir.iterdir()] != ["lock"]:
        return
    (workdir / "lock").unlink()
    for folder in (workdir.absolute(), *workdir.absolute().parents):
        if folder == existing or any(folder.iterdir()):
            return
        folder.rmdir()


def _lock_owner(path: pathlib.Path) -> str:
    """Return the description of the process that holds the lock, as it wrote it."""
    try:
        who = json.loads(path.read_text())
        return f"process {who['process']} on {who['host']} since {who['since']} ({' '.join(who['command'])})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
