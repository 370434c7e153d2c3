"""Scores of a whole split: every row once, without averaging over batches."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Float32, UInt8

from posterfusion_jax.input_pipeline.batch_order import evaluation_batch, steps_per_epoch
from posterfusion_jax.input_pipeline.sources import BatchSource
from posterfusion_jax.losses.asymmetric import Loss
from posterfusion_jax.models.classifier import Batch, Classifier, Params
from posterfusion_jax.utils.prefetch import prefetch
from posterfusion_jax.utils.sharding import DataParallel


class Scores(NamedTuple):
    """Hold the scores of one split, in row order.

    Attributes:
      scores: the sigmoid of the logits.
      loss: mean over genres and posters.
    """

    scores: Float32[np.ndarray, "n g"]
    loss: float


def make_score_step(classifier: Classifier, loss: Loss) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Return a jitted function (params, batch, labels [b, g]) -> (scores [b, g], loss per poster [b])."""

    def score(params: Params, batch: Batch, labels: UInt8[Array, "b g"]) -> tuple[Float32[Array, "b g"], Float[Array, " b"]]:
        logits = classifier.forward(params, batch)
        return jax.nn.sigmoid(logits), loss(logits, labels).mean(axis=1)

    return jax.jit(score)


class Scorer:
    """Compute scores and gates of splits; padding rows of the last batch are excluded."""

    def __init__(self, classifier: Classifier, loss: Loss, parallel: DataParallel, *, batch_size: int, threads: int):
        """Prepare the compiled programs.

        Args:
          classifier: the model.
          loss: loss per element.
          parallel: the devices.
          batch_size: rows per step.
          threads: number of threads that load batches.
        """
        self._score, self._gates = make_score_step(classifier, loss), jax.jit(classifier.gates)
        self._parallel, self._batch_size, self._threads = parallel, batch_size, threads

    def score(self, params: Params, source: BatchSource) -> Scores:
        """Score all rows of `source`, with parameters on the devices."""
        scores, losses = [], []
        for batch, labels, count in self._batches(source):
            score, loss = self._score(params, batch, labels)
            scores.append(np.asarray(score)[:count])
            losses.append(np.asarray(loss, np.float64)[:count])
        return Scores(np.concatenate(scores), float(np.concatenate(losses).mean()))

    def gates(self, params: Params, source: BatchSource) -> dict[str, Float[np.ndarray, " _"]]:
        """Return the modality weights of the head (`Classifier.gates`) on a split.

        Returns:
          By name, float64 [n], or [1] for one number for all posters; empty for heads without gates.
        """
        found: dict[str, list[np.ndarray]] = {}
        for batch, _, count in self._batches(source):
            for name, values in self._gates(params, batch).items():
                values = np.asarray(values, np.float64)
                if values.ndim or name not in found:
                    found.setdefault(name, []).append(np.atleast_1d(values)[:count])
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def _batches(self, source: BatchSource) -> Iterator[tuple[Batch, jax.Array, int]]:
        """Yield inputs and labels on the devices, and the number of real rows, which come first."""
        n = len(source.labels)

        def load(step: int) -> tuple[Any, np.ndarray, int]:
            rows, real = evaluation_batch(step, rows=n, batch_size=self._batch_size)
            return source.load(rows), source.labels[rows], int(real.sum())

        for batch, labels, count in prefetch(load, 0, steps_per_epoch(n, self._batch_size), threads=self._threads):
            yield *self._parallel.shard_batch((batch, labels)), count
