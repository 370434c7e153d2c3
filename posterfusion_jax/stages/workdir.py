"""A workdir to the run that was trained in it."""

import pathlib
from typing import Any

from configs import base
from posterfusion_jax import config as config_lib
from posterfusion_jax.checkpoint_meta import read_latest_meta
from posterfusion_jax.config import Run
from posterfusion_jax.errors import InputError


def saved_config(workdir: pathlib.Path) -> dict[str, Any] | None:
    """The config of the latest checkpoint, with today's defaults for newer fields; None where nothing was saved."""
    meta = read_latest_meta(workdir / "checkpoints")
    return None if meta is None else config_lib.complete(meta["config"], config_lib.to_json(base.get_config()))


def saved_run(workdir: pathlib.Path) -> Run:
    """The run of a workdir, from its checkpoint alone. Raises InputError where there is none."""
    saved = saved_config(workdir)
    if saved is None:
        raise InputError(f"--workdir={workdir} holds no checkpoint. Train first, or name the workdir of a trained run.")
    return config_lib.resolve(config_lib.from_json(saved), workdir)
