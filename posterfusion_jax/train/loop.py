"""The training loop: epochs, validation after each, early stopping, checkpoints; it goes on exactly where it was cut off."""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from posterfusion_jax.checkpoints import Checkpoints
from posterfusion_jax.errors import InputError
from posterfusion_jax.metrics import multilabel_report
from posterfusion_jax.parallel import DataParallel, read_ahead
from posterfusion_jax.progress import progress_bar
from posterfusion_jax.thresholds import fit_thresholds
from posterfusion_jax.train.batches import steps_per_epoch, training_batch
from posterfusion_jax.train.scoring import Scores
from posterfusion_jax.train.sources import Source
from posterfusion_jax.train.step import TrainState
from posterfusion_jax.train.writers import Writers


class EarlyStopping(NamedTuple):
    """Where early stopping stands; part of each checkpoint.

    Attributes:
      best_rank: lowest so far of what is minimised (the validation loss, or minus macro F1).
      best_epoch: when that was, 0 before the first.
      waited: epochs since.
    """

    best_rank: float = math.inf
    best_epoch: int = 0
    waited: int = 0

    def after(self, epoch: int, rank: float) -> "EarlyStopping":
        """Where it stands after another epoch; equal is no improvement, as in Keras."""
        return EarlyStopping(rank, epoch, 0) if rank < self.best_rank else self._replace(waited=self.waited + 1)


class Outcome(NamedTuple):
    """How a training ended. `trained_epochs`: by this call."""

    epochs: int
    trained_epochs: int
    stopping: EarlyStopping
    early: bool


def is_finished(meta: dict[str, Any], *, max_epochs: int, patience: int) -> bool:
    """Whether the run whose latest checkpoint has this `meta` is done."""
    return meta["epoch"] >= max_epochs or meta["stopping"]["waited"] >= patience


def train(
    state: TrainState,
    train_step: Callable[..., tuple[TrainState, jax.Array]],
    source: Source,
    validate: Callable[[Any], Scores],
    validation_labels: np.ndarray,
    checkpoints: Checkpoints,
    writers: Writers,
    *,
    seed: int,
    batch_size: int,
    max_epochs: int,
    patience: int,
    monitor: str,
    threads: int,
    meta: dict[str, Any],
    start_epoch: int = 0,
    stopping: EarlyStopping | None = None,
) -> Outcome:
    """Trains from epoch `start_epoch` + 1 on.

    Args:
      state: to start from, already on the devices.
      train_step: see `step.make_train_step`; it takes the buffers of the state it is given.
      source: the training split.
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
    parallel = DataParallel()
    n = len(source.labels)
    steps = steps_per_epoch(n, batch_size)

    def load(step: int) -> tuple[Any, np.ndarray, np.ndarray]:
        rows, real = training_batch(step, seed=seed, rows=n, batch_size=batch_size)
        return source.load(rows), source.labels[rows], real

    batches = read_ahead(load, start_epoch * steps, max_epochs * steps, threads=threads)
    epoch = start_epoch
    with progress_bar(total=max_epochs * steps, initial=start_epoch * steps, desc="train", unit="step") as bar:
        while epoch < max_epochs and stopping.waited < patience:
            epoch += 1
            started = time.monotonic()

            # -- one pass over the training split
            losses = []
            for _ in range(steps):
                batch, labels, real = parallel.put_batch(next(batches))
                state, loss = train_step(state, batch, labels, real)
                losses.append(loss)
                bar.update()
            train_loss = float(np.mean(_check_finite(jax.device_get(losses), f"training loss in epoch {epoch}")))

            # -- validation
            scored = validate(state.params)
            _check_finite(scored.loss, f"validation loss after epoch {epoch}")
            report = multilabel_report(scored.scores, validation_labels)
            rank = scored.loss if monitor == "loss" else -report["f1_macro"]
            stopping = stopping.after(epoch, rank)

            # -- the record
            values = {
                "train_loss": train_loss,
                "validation_loss": scored.loss,
                **{f"validation_{name}": report[name] for name in ("f1_macro", "f1_micro", "hit_ratio", "hamming_loss")},
                "seconds": time.monotonic() - started,
            }
            writers.write(epoch, values)
            bar.set_postfix(epoch=epoch, loss=f"{train_loss:.4f}", val_f1=f"{report['f1_macro']:.3f}", waited=stopping.waited)
            checkpoint_meta = {
                **meta,
                "epoch": epoch,
                "stopping": stopping._asdict(),
                "validation": {name: values[name] for name in values if name.startswith("validation_")},
                "thresholds": fit_thresholds(scored.scores, validation_labels),
            }
            checkpoints.save(epoch, state, checkpoint_meta, rank=rank)
    checkpoints.wait()
    writers.close()
    return Outcome(epoch, epoch - start_epoch, stopping, early=epoch < max_epochs)


def _check_finite(losses: Any, what: str) -> np.ndarray:
    """The losses, of steps or of a split, in float64; loud if one is not finite."""
    values = np.atleast_1d(np.asarray(losses, np.float64))
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise InputError(
            f"the {what} became {values[bad[0]]} (value {bad[0] + 1} of {values.size}). The checkpoints of earlier epochs are "
            "intact. Lower train.learning_rate (and train.encoder_learning_rate, if the encoders train), or look for features "
            "that are not finite, and start again."
        )
    return values
