"""Draw from named random streams: a number is a pure function of (seed, name of its use, counters).

Adding a stream never changes another, and nothing about randomness has to be saved to resume a run.
"""

import functools
import zlib
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


def _stream_id(name: str) -> int:
    return zlib.crc32(name.encode())


def key_for(seed: int | jax.Array, name: str, *counters: int | jax.Array) -> jax.Array:
    """Return a JAX key for the stream `name` at the given counters (step, epoch, ...); usable inside jit."""
    key = jax.random.fold_in(_threefry_key(seed), _stream_id(name))
    for counter in counters:
        key = jax.random.fold_in(key, counter)
    return key


def _threefry_key(seed: int | jax.Array) -> jax.Array:
    """Return `jax.random.key(seed)` for seeds from 0 up, independent of JAX's default generator, offset and integer width."""
    low = jnp.asarray(seed, jnp.uint32) if isinstance(seed, int) else jax.lax.convert_element_type(seed, jnp.uint32)
    return jax.random.wrap_key_data(jnp.stack([jnp.zeros_like(low), low]), impl="threefry2x32")


def with_threefry(function: Callable[_Args, _Result]) -> Callable[_Args, _Result]:
    """Make a function draw what a default JAX draws, also in a process without JAX_THREEFRY_PARTITIONABLE."""

    @functools.wraps(function)
    def drawing(*args: _Args.args, **kwargs: _Args.kwargs) -> _Result:
        with jax.threefry_partitionable(True):
            return function(*args, **kwargs)

    return drawing


def generator_for(seed: int, name: str, *counters: int) -> np.random.Generator:
    """Return a NumPy generator for the stream `name` at the given counters."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, _stream_id(name)], spawn_key=counters)))
