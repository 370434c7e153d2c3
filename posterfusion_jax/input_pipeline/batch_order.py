"""Rows of each batch: pure functions of (seed, step), so a run resumes exactly without saved state."""

import functools

import numpy as np

from posterfusion_jax.utils.rng import generator_for


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """Return the number of batches that cover `rows` rows once; the last one may be partly filled."""
    return -(-rows // batch_size)


def training_batch(step: int, *, seed: int, rows: int, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the batch at `step` (from 0), and which of them are real.

    Each epoch is a new permutation of all rows. The last batch of an epoch is padded with repeats of its first row, marked
    as not real, so every row counts once per epoch and all batches have one shape.

    Returns:
      rows int [batch_size]; real float32 [batch_size], 1 or 0.
    """
    epoch, position = divmod(step, steps_per_epoch(rows, batch_size))
    order = _order(seed, epoch, rows)
    return _filled(order[position * batch_size : (position + 1) * batch_size], batch_size)


def evaluation_batch(step: int, *, rows: int, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and real of a batch in row order; the last batch is padded as in `training_batch`."""
    return _filled(np.arange(step * batch_size, min((step + 1) * batch_size, rows)), batch_size)


@functools.lru_cache(maxsize=64)
def _order(seed: int, epoch: int, rows: int) -> np.ndarray:
    return generator_for(seed, "batches", epoch).permutation(rows)


def _filled(rows: np.ndarray, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    real = (np.arange(batch_size) < len(rows)).astype(np.float32)
    return np.concatenate([rows, np.repeat(rows[:1], batch_size - len(rows))]), real
