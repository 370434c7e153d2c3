"""Input of all heads, and the masked operations on it that they share."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class HeadInputs(NamedTuple):
    """Hold the features of both modalities, pooled or as tokens.

    Attributes:
      image: float32 [b, d_i], or [b, l_i, d_i] with tokens.
      image_mask: bool [b] or [b, l_i], True where real.
      text: float32 [b, d_t] or [b, l_t, d_t].
      text_mask: bool [b] or [b, l_t]. A row without a True is a poster without text.
      real: bool [b], False for padding rows of a training batch, which batch statistics exclude. None: all rows are real.
    """

    image: jax.Array
    image_mask: jax.Array
    text: jax.Array
    text_mask: jax.Array
    real: jax.Array | None = None


def as_tokens(values: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return pooled features [b, d] and mask [b] as one token, [b, 1, d] and [b, 1]; tokens are returned unchanged."""
    return (values[:, None, :], mask[:, None]) if values.ndim == 2 else (values, mask)


def masked_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Return the mean of [b, l, d] over the tokens marked by `mask` [b, l]; zeros for rows without one."""
    weights = mask.astype(values.dtype)
    total = jnp.einsum("bld,bl->bd", values, weights)
    return total / jnp.maximum(weights.sum(axis=1, keepdims=True), 1)


def fill_missing(values: jax.Array, mask: jax.Array, filler: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Insert the vector `filler` at position 0 of each row without a real token.

    Args:
      values: [b, l, d].
      mask: bool [b, l].
      filler: [d].

    Returns:
      values and mask of the same shapes; every row of the mask has a True.
    """
    missing = ~mask.any(axis=1, keepdims=True)
    first = (jnp.arange(mask.shape[1], dtype=jnp.int32) == 0)[None, :]
    filled = missing & first
    return jnp.where(filled[:, :, None], filler[None, None, :], values), mask | filled
