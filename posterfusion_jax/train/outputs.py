"""Outputs of the training of one seed."""

import dataclasses
import pathlib
from typing import Any

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.train.partial_epoch import PartialEpoch


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Hold where a training writes.

    Attributes:
      checkpoints: checkpoints of finished epochs.
      partial_epoch: the finished steps of an interrupted epoch.
      logs: folder of the logs.
      meta: entries of every checkpoint that describe the run.
    """

    checkpoints: Checkpoints
    partial_epoch: PartialEpoch
    logs: pathlib.Path
    meta: dict[str, Any]
