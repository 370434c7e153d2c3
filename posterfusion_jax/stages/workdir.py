"""A workdir to the run that was trained in it."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

from configs import base
from posterfusion_jax import config as config_lib
from posterfusion_jax.checkpoints import Checkpoints
from posterfusion_jax.config import Run
from posterfusion_jax.errors import InputError


def saved_config(workdir: pathlib.Path) -> dict[str, Any] | None:
    """The config of the latest checkpoint, with today's defaults for newer fields; None where nothing was saved."""
    folder = workdir / "checkpoints"
    if not folder.is_dir():
        return None
    with contextlib.closing(Checkpoints(folder)) as checkpoints:
        if checkpoints.latest is None:
            return None
        saved = checkpoints.read_meta(checkpoints.latest)["config"]
    return config_lib.complete(saved, config_lib.to_json(base.get_config()))


def saved_run(workdir: pathlib.Path) -> Run:
    """The run of a workdir, from its checkpoint alone. Raises InputError where there is none."""
    saved = saved_config(workdir)
    if saved is None:
        raise InputError(f"--workdir={workdir} holds no checkpoint. Train first, or name the workdir of a trained run.")
    return config_lib.resolve(config_lib.from_json(saved), workdir)


@contextlib.contextmanager
def open_checkpoints(run: Run) -> Iterator[Checkpoints]:
    """The run's checkpoints, for the length of a `with`."""
    checkpoints = Checkpoints(run.paths.checkpoints)
    try:
        yield checkpoints
    finally:
        checkpoints.close()


def best_meta(checkpoints: Checkpoints, workdir: pathlib.Path) -> tuple[int, dict[str, Any]]:
    """The best epoch and its meta. Raises InputError where nothing was trained."""
    if checkpoints.best is None:
        raise InputError(f"--workdir={workdir} holds no checkpoint. Train first, or name the workdir of a trained run.")
    return checkpoints.best, checkpoints.read_meta(checkpoints.best)
