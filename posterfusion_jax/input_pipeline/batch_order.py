"""Rows of each batch: pure functions of (seed, step), so a run resumes exactly without saved state."""

import functools

import numpy as np
from jaxtyping import Float32, Int

from posterfusion_jax.utils.rng import generator_for

BatchRows = tuple[Int[np.ndarray, " b"], Float32[np.ndarray, " b"]]  # rows of a split; 1 where a row is real, else 0


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """Return the number of batches that cover `rows` rows once; the last one may be partly filled."""
    return -(-rows // batch_size)


def training_batch(step: int, *, seed: int, rows: int, batch_size: int) -> BatchRows:
    """Return the rows of the batch at `step` (from 0), and which of them are real.

    Each epoch is a new permutation of all rows. The last batch of an epoch is padded with repeats of its first row, marked
    as not real, so every row counts once per epoch and all batches have one shape, b = `batch_size`.
    """
    epoch, position = divmod(step, steps_per_epoch(rows, batch_size))
    order = _order(seed, epoch, rows)
    return _filled(order[position * batch_size : (position + 1) * batch_size], batch_size)


def evaluation_batch(step: int, *, rows: int, batch_size: int) -> BatchRows:
    """Return rows and real of a batch in row order; the last batch is padded as in `training_batch`."""
    return _filled(np.arange(step * batch_size, min((step + 1) * batch_size, rows)), batch_size)


@functools.lru_cache(maxsize=64)
def _order(seed: int, epoch: int, rows: int) -> Int[np.ndarray, " n"]:
    return generator_for(seed, "batches", epoch).permutation(rows)


def _filled(rows: Int[np.ndarray, " n"], batch_size: int) -> BatchRows:
    real = (np.arange(batch_size) < len(rows)).astype(np.float32)
    return np.concatenate([rows, np.repeat(rows[:1], batch_size - len(rows))]), real
