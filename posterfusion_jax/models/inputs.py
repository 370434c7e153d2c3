"""Input of all heads, and the masked operations on it that they share."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class HeadInputs(NamedTuple):
    """Hold the features of both modalities, pooled (without the axis l) or as tokens.

    Attributes:
      image: float32.
      image_mask: True where real.
      text: float32.
      text_mask: True where real. A row without a True is a poster without text.
      real: False for padding rows of a training batch, which batch statistics exclude. None: all rows are real.
    """

    image: Float[Array, "b *l_i d_i"]
    image_mask: Bool[Array, " b *l_i"]
    text: Float[Array, "b *l_t d_t"]
    text_mask: Bool[Array, " b *l_t"]
    real: Bool[Array, " b"] | None = None


def as_tokens(values: Float[Array, "b *l d"], mask: Bool[Array, " b *l"]) -> tuple[Float[Array, "b k d"], Bool[Array, "b k"]]:
    """Return pooled features [b, d] and mask [b] as one token, [b, 1, d] and [b, 1]; tokens are returned unchanged."""
    return (values[:, None, :], mask[:, None]) if values.ndim == 2 else (values, mask)


def masked_mean(values: Float[Array, "b l d"], mask: Bool[Array, "b l"]) -> Float[Array, "b d"]:
    """Return the mean over the tokens marked by `mask`; zeros for rows without one."""
    weights = mask.astype(values.dtype)
    total = jnp.einsum("bld,bl->bd", values, weights)
    return total / jnp.maximum(weights.sum(axis=1, keepdims=True), 1)


def fill_missing(
    values: Float[Array, "b l d"], mask: Bool[Array, "b l"], filler: Float[Array, " d"]
) -> tuple[Float[Array, "b l d"], Bool[Array, "b l"]]:
    """Insert the vector `filler` at position 0 of each row without a real token.

    Returns:
      Values and mask; every row of the mask has a True.
    """
    missing = ~mask.any(axis=1, keepdims=True)
    first = (jnp.arange(mask.shape[1], dtype=jnp.int32) == 0)[None, :]
    filled = missing & first
    return jnp.where(filled[:, :, None], filler[None, None, :], values), mask | filled
