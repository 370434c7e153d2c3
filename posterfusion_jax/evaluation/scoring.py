"""Scores of a whole split: every row once, without averaging over batches."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from posterfusion_jax.input_pipeline.batch_order import evaluation_batch, steps_per_epoch
from posterfusion_jax.input_pipeline.sources import BatchSource
from posterfusion_jax.utils.prefetch import prefetch
from posterfusion_jax.utils.sharding import DataParallel


class Scores(NamedTuple):
    """Hold the scores of one split, in row order.

    Attributes:
      scores: float32 [n, g], the sigmoid of the logits.
      loss: mean over genres and posters.
    """

    scores: np.ndarray
    loss: float


def gates_of_split(
    gates_step: Callable[[Any, Any], dict[str, jax.Array]],
    params: Any,
    source: BatchSource,
    parallel: DataParallel,
    *,
    batch_size: int,
    threads: int,
) -> dict[str, np.ndarray]:
    """Return the modality weights of a head (`Classifier.gates`) on a split.

    Returns:
      By name, float64 [n], or [1] for one number for all posters; empty for heads without gates.
    """
    n = len(source.labels)

    def load(step: int) -> tuple[Any, np.ndarray]:
        rows, real = evaluation_batch(step, rows=n, batch_size=batch_size)
        return source.load(rows), real

    found: dict[str, list[np.ndarray]] = {}
    for batch, real in prefetch(load, 0, steps_per_epoch(n, batch_size), threads=threads):
        for name, values in gates_step(params, parallel.shard_batch(batch)).items():
            values = np.asarray(values, np.float64)
            if values.ndim or name not in found:
                found.setdefault(name, []).append(np.atleast_1d(values)[: int(real.sum())])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def score_split(
    score_step: Callable[..., tuple[jax.Array, jax.Array]],
    params: Any,
    source: BatchSource,
    parallel: DataParallel,
    *,
    batch_size: int,
    threads: int,
) -> Scores:
    """Score all rows of `source`; padding rows of the last batch are excluded from scores and loss."""
    n = len(source.labels)

    def load(step: int) -> tuple[Any, np.ndarray, np.ndarray]:
        rows, real = evaluation_batch(step, rows=n, batch_size=batch_size)
        return source.load(rows), source.labels[rows], real

    scores, losses = [], []
    for batch, labels, real in prefetch(load, 0, steps_per_epoch(n, batch_size), threads=threads):
        batch, labels = parallel.shard_batch((batch, labels))
        score, loss = score_step(params, batch, labels)
        count = int(real.sum())
        scores.append(np.asarray(score)[:count])
        losses.append(np.asarray(loss, np.float64)[:count])
    return Scores(np.concatenate(scores), float(np.concatenate(losses).mean()))
