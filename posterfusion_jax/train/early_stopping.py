"""Early stopping, and the summary of an epoch, for one seed or several that train in parallel."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64, UInt8

from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.scoring import Scores
from posterfusion_jax.metrics.calibration import fit_calibration
from posterfusion_jax.metrics.multilabel import multilabel_report
from posterfusion_jax.metrics.thresholds import fit_thresholds
from posterfusion_jax.utils.choose import choose

_LOGGED = ("f1_macro", "f1_micro", "hit_ratio", "hamming_loss")


class EarlyStopping(NamedTuple):
    """Hold the state of early stopping; part of each checkpoint.

    Attributes:
      best_rank: lowest monitored value so far (the validation loss, or minus macro F1).
      best_epoch: its epoch, 0 before the first.
      waited: epochs since then.
    """

    best_rank: float = math.inf
    best_epoch: int = 0
    waited: int = 0

    def updated(self, epoch: int, rank: float) -> "EarlyStopping":
        """Return the state after another epoch; an equal rank is no improvement, as in Keras."""
        return EarlyStopping(rank, epoch, 0) if rank < self.best_rank else self._replace(waited=self.waited + 1)


class Record(NamedTuple):
    """Hold the summary of one epoch of one seed.

    Attributes:
      values: entries of the logs.
      rank: value minimized by early stopping.
      stopping: state of early stopping after the epoch.
      meta: entries of the checkpoint: epoch number, early stopping, validation figures, thresholds, calibration.
    """

    values: dict[str, float]
    rank: float
    stopping: EarlyStopping
    meta: dict[str, Any]


def is_finished(meta: dict[str, Any], *, max_epochs: int, patience: int) -> bool:
    """Return whether the run with this `meta` in its latest checkpoint is finished."""
    return meta["epoch"] >= max_epochs or meta["stopping"]["waited"] >= patience


def summarize_epoch(
    epoch: int,
    stopping: EarlyStopping,
    losses: Float[np.ndarray, " steps"],
    scored: Scores,
    labels: UInt8[np.ndarray, "n g"],
    *,
    monitor: str,
    seconds: float,
    genres: Sequence[str] | None = None,
) -> Record:
    """Summarize an epoch and update early stopping.

    Args:
      epoch: number of the epoch, from 1.
      stopping: early stopping before it.
      losses: losses of its steps.
      scored: scores of the validation split after it.
      labels: labels of the validation split.
      monitor: "loss" or "f1_macro" of the validation split.
      seconds: duration of the epoch.
      genres: names of the labels; None: the paper's, where there are thirteen.

    Raises:
      InputError: a loss is no longer finite.
    """
    train_loss = float(np.mean(_check_finite(losses, f"training loss in epoch {epoch}")))
    summary = validation_summary(epoch, scored, labels, genres=genres)
    validation = summary["validation"]
    rank = choose("train.monitor", monitor, {"loss": scored.loss, "f1_macro": -validation["validation_f1_macro"]})
    updated = stopping.updated(epoch, rank)
    return Record(
        values={"train_loss": train_loss, **validation, "seconds": seconds},
        rank=rank,
        stopping=updated,
        meta={**summary, "stopping": updated._asdict()},
    )


def validation_summary(
    epoch: int, scored: Scores, labels: UInt8[np.ndarray, "n g"], *, genres: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the checkpoint entries "epoch", "validation", "thresholds" and "calibration", fitted on validation.

    Args:
      epoch: epoch after which the checkpoint is saved; 0 for a model that did not train.
      scored: scores of the validation split.
      labels: labels of the validation split.
      genres: names of the labels; None: the paper's, where there are thirteen.

    Raises:
      InputError: the loss is not finite.
    """
    _check_finite(scored.loss, f"validation loss after epoch {epoch}")
    report = multilabel_report(scored.scores, labels, genres=genres)
    return {
        "epoch": epoch,
        "validation": {"validation_loss": scored.loss, **{f"validation_{name}": report[name] for name in _LOGGED}},
        "thresholds": fit_thresholds(scored.scores, labels),
        "calibration": fit_calibration(scored.scores, labels),
    }


def _check_finite(losses: Any, what: str) -> Float64[np.ndarray, " _"]:
    """Return losses of steps or of a split in float64. Raises InputError if one is not finite."""
    values = np.atleast_1d(np.asarray(losses, np.float64))
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise InputError(
            f"the {what} became {values[bad[0]]} (value {bad[0] + 1} of {values.size}). The checkpoints of earlier epochs are "
            "intact. Lower train.learning_rate (and train.encoder_learning_rate, if the encoders train), or look for features "
            "that are not finite, and start again."
        )
    return values
