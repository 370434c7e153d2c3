"""Call transformers' Flax code from a process with strict JAX settings."""

import contextlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


@contextlib.contextmanager
def default_promotion() -> Iterator[None]:
    """Apply JAX's default promotion rules, for code that is not ours.

    transformers adds float32 position embeddings to bfloat16 patches, and vectors to matrices, on purpose; this project's own
    code is tested under jax_numpy_dtype_promotion=strict and jax_numpy_rank_promotion=raise, which forbid both. Code
    that names no types computes in 32 bits, for any JAX_ENABLE_X64 of the process: features are those that the passport names.
    """
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"), jax.enable_x64(False):
        yield
