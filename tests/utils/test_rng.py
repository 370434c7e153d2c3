"""Named random streams."""

import jax
import numpy as np

from posterfusion_jax.utils.rng import generator_for, key_for

PERMUTATION = [0, 1, 7, 3, 6, 2, 4, 5]
BITS = 2609222156


def test_streams_differ_by_seed_name_and_counter_and_repeat():
    def draw(seed, name, *counters):
        return generator_for(seed, name, *counters).integers(2**62), jax.random.bits(key_for(seed, name, *counters)).item()

    places = [(0, "batches"), (1, "batches"), (0, "dropout"), (0, "batches", 1), (0, "batches", 1, 0), (0, "batches", 0, 1)]
    drawn = [draw(*place) for place in places]
    assert len({numpy_draw for numpy_draw, _ in drawn}) == len({jax_draw for _, jax_draw in drawn}) == len(places)
    assert drawn == [draw(*place) for place in places]


def test_values_are_pinned():
    # A change here changes every run that was ever made: batch orders, initial parameters.
    assert generator_for(0, "batches", 3).permutation(8).tolist() == PERMUTATION
    assert int(jax.random.bits(key_for(0, "parameters"))) == BITS


def test_counter_may_be_traced():
    traced = jax.jit(lambda step: jax.random.key_data(key_for(7, "dropout", step)))(np.int32(5))
    np.testing.assert_array_equal(traced, jax.random.key_data(key_for(7, "dropout", 5)))
