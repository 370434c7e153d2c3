"""What is decided and recorded after each epoch, whether one seed trains or many side by side."""

import math
from typing import Any, NamedTuple

import numpy as np

from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.scoring import Scores
from posterfusion_jax.metrics.calibration import fit_calibration
from posterfusion_jax.metrics.multilabel import multilabel_report
from posterfusion_jax.metrics.thresholds import fit_thresholds
from posterfusion_jax.utils.choose import choose

_LOGGED = ("f1_macro", "f1_micro", "hit_ratio", "hamming_loss")


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


class Record(NamedTuple):
    """An epoch of one seed.

    Attributes:
      values: what the logs get.
      rank: what early stopping minimises.
      stopping: where it stands now.
      meta: what a checkpoint says of the epoch: its number, early stopping, validation figures, thresholds, calibration.
    """

    values: dict[str, float]
    rank: float
    stopping: EarlyStopping
    meta: dict[str, Any]


def is_finished(meta: dict[str, Any], *, max_epochs: int, patience: int) -> bool:
    """Whether the run whose latest checkpoint has this `meta` is done."""
    return meta["epoch"] >= max_epochs or meta["stopping"]["waited"] >= patience


def summarize_epoch(
    epoch: int,
    stopping: EarlyStopping,
    losses: Any,
    scored: Scores,
    labels: np.ndarray,
    *,
    monitor: str,
    seconds: float,
) -> Record:
    """Judges an epoch.

    Args:
      epoch: its number, from 1.
      stopping: where early stopping stood before it.
      losses: of its steps.
      scored: the validation split after it.
      labels: of the validation split, uint8 [n, 13].
      monitor: "loss" or "f1_macro" of the validation split.
      seconds: that it took.

    Raises:
      InputError: a loss is no longer finite.
    """
    train_loss = float(np.mean(_check_finite(losses, f"training loss in epoch {epoch}")))
    judged = validation_summary(epoch, scored, labels)
    validation = judged["validation"]
    rank = choose("train.monitor", monitor, {"loss": scored.loss, "f1_macro": -validation["validation_f1_macro"]})
    after = stopping.after(epoch, rank)
    return Record(
        values={"train_loss": train_loss, **validation, "seconds": seconds},
        rank=rank,
        stopping=after,
        meta={**judged, "stopping": after._asdict()},
    )


def validation_summary(epoch: int, scored: Scores, labels: np.ndarray) -> dict[str, Any]:
    """What a checkpoint says of the model it holds: "epoch", "validation" figures, "thresholds" and "calibration" fitted on
    validation.

    Args:
      epoch: after which it is saved; 0 for a model that did not train.
      scored: the validation split.
      labels: uint8 [n, 13].

    Raises:
      InputError: the loss is not finite.
    """
    _check_finite(scored.loss, f"validation loss after epoch {epoch}")
    report = multilabel_report(scored.scores, labels)
    return {
        "epoch": epoch,
        "validation": {"validation_loss": scored.loss, **{f"validation_{name}": report[name] for name in _LOGGED}},
        "thresholds": fit_thresholds(scored.scores, labels),
        "calibration": fit_calibration(scored.scores, labels),
    }


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
