"""The training loop: epochs, validation after each, early stopping, checkpoints; it goes on exactly where it was cut off."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from posterfusion_jax.checkpoints import Checkpoints
from posterfusion_jax.progress import progress_bar
from posterfusion_jax.train.epoch import EarlyStopping, record_epoch
from posterfusion_jax.train.passes import Pass
from posterfusion_jax.train.scoring import Scores
from posterfusion_jax.train.step import TrainState
from posterfusion_jax.train.writers import Writers


class Outcome(NamedTuple):
    """How a training ended; `epochs` counts those of earlier starts too."""

    epochs: int
    stopping: EarlyStopping
    early: bool


def train(
    state: TrainState,
    one_pass: Pass,
    validate: Callable[[Any], Scores],
    validation_labels: np.ndarray,
    checkpoints: Checkpoints,
    writers: Writers,
    *,
    max_epochs: int,
    patience: int,
    monitor: str,
    meta: dict[str, Any],
    start_epoch: int = 0,
    stopping: EarlyStopping | None = None,
) -> Outcome:
    """Trains from epoch `start_epoch` + 1 on.

    Args:
      state: to start from, already on the devices.
      one_pass: over the training split.
      validate: params -> scores of the validation split.
      validation_labels: uint8 [n, 13].
      checkpoints: saved to after each epoch.
      writers: written to after each epoch.
      monitor: "loss" or "f1_macro" of the validation split.
      meta: what every checkpoint says beside the state of the training itself.
      stopping: as the checkpoint of `start_epoch` says.

    Raises:
      InputError: the loss is no longer finite.
    """
    stopping = stopping or EarlyStopping()
    epoch, steps = start_epoch, one_pass.steps
    with progress_bar(total=max_epochs * steps, initial=start_epoch * steps, desc="train", unit="step") as bar:
        while epoch < max_epochs and stopping.waited < patience:
            epoch += 1
            started = time.monotonic()

            # -- one pass over the training split
            state, losses = one_pass(state, epoch, bar.update)

            # -- validation, and what follows from it
            scored = validate(state.params)
            record = record_epoch(
                epoch,
                stopping,
                losses,
                scored,
                validation_labels,
                monitor=monitor,
                seconds=time.monotonic() - started,
            )
            stopping = record.stopping
            writers.write(epoch, record.values)
            bar.set_postfix(
                epoch=epoch,
                loss=f"{record.values['train_loss']:.4f}",
                val_f1=f"{record.values['validation_f1_macro']:.3f}",
                waited=stopping.waited,
            )
            checkpoints.save(epoch, state, {**meta, **record.meta}, rank=record.rank)
    checkpoints.wait()
    writers.close()
    return Outcome(epoch, stopping, early=epoch < max_epochs)
