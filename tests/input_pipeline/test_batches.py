"""Batch order: a pure function of (seed, step), every row once an epoch."""

import numpy as np
import pytest

from posterfusion_jax.input_pipeline.batch_order import evaluation_batch, steps_per_epoch, training_batch


@pytest.mark.parametrize(("rows", "batch_size"), [(10, 4), (8, 4), (3, 4), (1, 1)])
def test_every_row_counts_once_an_epoch(rows, batch_size):
    steps = steps_per_epoch(rows, batch_size)
    for epoch in range(3):
        counted = []
        for step in range(epoch * steps, (epoch + 1) * steps):
            chosen, real = training_batch(step, seed=0, rows=rows, batch_size=batch_size)
            assert chosen.shape == real.shape == (batch_size,)
            counted += chosen[real == 1].tolist()
        assert sorted(counted) == list(range(rows))


def test_order_changes_with_epoch_and_seed_and_not_with_history():
    def epoch(number, seed):
        return [
            training_batch(step, seed=seed, rows=64, batch_size=16)[0].tolist() for step in range(4 * number, 4 * number + 4)
        ]

    assert epoch(0, 0) == epoch(0, 0)
    assert epoch(0, 0) != epoch(1, 0)
    assert epoch(0, 0) != epoch(0, 1)


def test_evaluation_keeps_the_order_and_marks_the_filling():
    chosen, real = evaluation_batch(2, rows=9, batch_size=4)
    np.testing.assert_array_equal(chosen, [8, 8, 8, 8])
    np.testing.assert_array_equal(real, [1, 0, 0, 0])
