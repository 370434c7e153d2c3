"""Training loop: epochs, validation after each, early stopping, checkpoints, exact resumption.

Ctrl-C or SIGTERM within an epoch saves the finished steps.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.evaluation.scoring import Scores
from posterfusion_jax.train.early_stopping import EarlyStopping, summarize_epoch
from posterfusion_jax.train.epoch_runner import EpochRunner
from posterfusion_jax.train.metric_writer import Writers
from posterfusion_jax.train.partial_epoch import PartialEpoch
from posterfusion_jax.train.step import TrainState
from posterfusion_jax.utils.progress import progress_bar
from posterfusion_jax.utils.signals import defer_interrupts


class Outcome(NamedTuple):
    """Hold how a training ended; `epochs` includes those before a resumption, `early` marks early stopping."""

    epochs: int
    stopping: EarlyStopping
    early: bool


def train(
    state: TrainState,
    one_pass: EpochRunner,
    validate: Callable[[Any], Scores],
    validation_labels: np.ndarray,
    checkpoints: Checkpoints,
    unfinished: PartialEpoch,
    writers: Writers,
    *,
    max_epochs: int,
    patience: int,
    monitor: str,
    meta: dict[str, Any],
    start_epoch: int = 0,
    stopping: EarlyStopping | None = None,
) -> Outcome:
    """Train from epoch `start_epoch` + 1 on.

    Args:
      state: state after epoch `start_epoch`, already on the devices.
      one_pass: runs one epoch over the training split.
      validate: params -> scores of the validation split.
      validation_labels: uint8 [n, g].
      checkpoints: saved to after each epoch.
      unfinished: saves an interrupted epoch, and restores the finished steps of the first one.
      writers: written to after each epoch.
      max_epochs: number of the last epoch.
      patience: epochs without improvement before early stopping.
      monitor: "loss" or "f1_macro" of the validation split.
      meta: entries of every checkpoint, in addition to the state of the training.
      start_epoch: number of finished epochs.
      stopping: early stopping from the checkpoint of `start_epoch`.

    Raises:
      InputError: the loss is no longer finite.
      KeyboardInterrupt: after Ctrl-C or SIGTERM, when the finished steps are saved.
    """
    stopping = stopping or EarlyStopping()
    epoch, steps = start_epoch, one_pass.steps
    state, losses = unfinished.restore(epoch + 1, state)
    initial = epoch * steps + len(losses)
    with progress_bar(total=max_epochs * steps, initial=initial, desc="train", unit="step") as bar:
        while epoch < max_epochs and stopping.waited < patience:
            epoch += 1
            started = time.monotonic()
            try:
                # -- one epoch of training
                with defer_interrupts() as stop_requested:
                    state, losses = one_pass(state, epoch, bar.update, done=losses, stop_requested=stop_requested)

                # -- validation and summary
                scored = validate(state.params)
                record = summarize_epoch(
                    epoch,
                    stopping,
                    losses,
                    scored,
                    validation_labels,
                    monitor=monitor,
                    seconds=time.monotonic() - started,
                )
            except KeyboardInterrupt:
                checkpoints.wait()
                unfinished.save(epoch, state, losses, meta)
                raise
            with defer_interrupts():
                writers.write(epoch, record.values)
                checkpoints.save(epoch, state, {**meta, **record.meta}, rank=record.rank)
            stopping, losses = record.stopping, np.zeros(0, np.float32)
            bar.set_postfix(
                epoch=epoch,
                loss=f"{record.values['train_loss']:.4f}",
                val_f1=f"{record.values['validation_f1_macro']:.3f}",
                waited=stopping.waited,
            )
    checkpoints.wait()
    unfinished.clear()
    writers.close()
    return Outcome(epoch, stopping, early=epoch < max_epochs)
