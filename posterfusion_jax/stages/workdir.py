"""A workdir to the run that was trained in it."""

import contextlib
import pathlib
from typing import Any

from configs import base
from posterfusion_jax import config as config_lib
from posterfusion_jax.checkpoints import Checkpoints
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


def saved_run(workdir: pathlib.Path) -> config_lib.Run:
    """The run of a workdir, from its checkpoint alone. Raises InputError where there is none."""
    saved = saved_config(workdir)
    if saved is None:
        raise InputError(f"--workdir={workdir} holds no checkpoint. Train first, or name the workdir of a trained run.")
    return config_lib.resolve(config_lib.from_json(saved), workdir)
