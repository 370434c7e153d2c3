"""Reduce image tokens by averaging the patch grid down to a coarser one."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from posterfusion_jax.errors import InputError


def pool_grid(values: Float[Array, "b l d"], *, to: int) -> Float[Array, "b m d"]:
    """Average a g x g grid of patch tokens to `to` x `to` cells by area; the class token stays first, unchanged.

    Where `to` divides g this is plain average pooling. Otherwise a patch that crosses the border of two cells counts
    in each by its share.

    Args:
      values: [b, 1 + g*g, d], class token first, then the patches row by row.
      to: cells along an edge, 1 <= to <= g.

    Returns:
      [b, 1 + to*to, d].

    Raises:
      InputError: the tokens are not one and a square, or `to` is out of range.
    """
    batch, length, width = values.shape
    g = round((length - 1) ** 0.5)
    if g < 1 or 1 + g * g != length:
        raise InputError(f"{length} image tokens are not a class token and a square grid, so they cannot be pooled")
    if not 1 <= to <= g:
        raise InputError(f"features.image_grid is {to}; this tower has a {g} x {g} grid, so allowed: 1 to {g}")
    share = jnp.asarray(_shares(g, to), values.dtype)
    grid = values[:, 1:].reshape(batch, g, g, width)
    pooled = jnp.einsum("ir,jc,brcd->bijd", share, share, grid).reshape(batch, to * to, width)
    return jnp.concatenate([values[:, :1], pooled], axis=1)


def _shares(g: int, to: int) -> Float[np.ndarray, "to g"]:
    """Return [to, g]: the share of cell i that patch j covers along one edge; rows sum to 1."""
    cells, patches = np.arange(to)[:, None], np.arange(g)[None]
    overlap = np.minimum((cells + 1) * g / to, patches + 1) - np.maximum(cells * g / to, patches)
    return overlap.clip(0) * to / g
