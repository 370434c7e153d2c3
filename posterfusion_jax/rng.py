"""Named random streams: a number drawn is a pure function of (seed, name of its use, counters).

Adding a stream never changes another, and nothing about randomness has to be saved to resume a run.
"""

import zlib

import jax
import numpy as np


def _stream_id(name: str) -> int:
    return zlib.crc32(name.encode())


def key_for(seed: int | jax.Array, name: str, *counters: int | jax.Array) -> jax.Array:
    """A JAX key for the stream `name` at the given counters (step, epoch, ...); usable inside jit."""
    key = jax.random.fold_in(jax.random.key(seed), _stream_id(name))
    for counter in counters:
        key = jax.random.fold_in(key, counter)
    return key


def generator_for(seed: int, name: str, *counters: int) -> np.random.Generator:
    """A NumPy generator for the stream `name` at the given counters."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, _stream_id(name)], spawn_key=counters)))
