"""Augment training pictures and texts at random, for encoders that train."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, UInt8


def flip_and_shift(key: jax.Array, images: UInt8[Array | np.ndarray, "b s s 3"], *, shift: int) -> UInt8[Array, "b s s 3"]:
    """Mirror each picture at random, and shift it by up to `shift` pixels each way; edges fill the gap.

    Args:
      key: a JAX key; the same key gives the same pictures.
      images: uint8 [b, s, s, 3].
      shift: pixels, 0 or more.

    Returns:
      uint8 [b, s, s, 3].
    """
    flip_key, shift_key = jax.random.split(key)
    with jax.enable_x64(False):  # the same random numbers for any default integer width
        mirrored = jax.random.bernoulli(flip_key, shape=(images.shape[0], 1, 1, 1))
        corners = jax.random.randint(shift_key, (images.shape[0], 2), 0, 2 * shift + 1)
        images = jnp.where(mirrored, images[:, :, ::-1], images)
        padded = jnp.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="edge")

        def cut(picture: jax.Array, corner: jax.Array) -> jax.Array:
            return jax.lax.dynamic_slice(picture, (corner[0], corner[1], 0), images.shape[1:])

        return jax.vmap(cut)(padded, corners)


def drop_tokens(key: jax.Array, attention_mask: Int32[Array | np.ndarray, "*b l"], *, share: float) -> Int32[Array, "*b l"]:
    """Hide each token with probability `share`, except the first and last of a text (its special tokens).

    Reference: Iyyer et al., "Deep Unordered Composition Rivals Syntactic Methods for Text Classification", ACL 2015.

    Args:
      key: a JAX key; the same key hides the same tokens.
      attention_mask: int32 [..., l]; 1 for tokens, 0 for padding on the right.
      share: probability in [0, 1).

    Returns:
      int32 [..., l]: `attention_mask` with zeros for the tokens that are hidden.
    """
    with jax.enable_x64(False):
        hidden = jax.random.bernoulli(key, share, attention_mask.shape)
    position = jax.lax.broadcasted_iota(jnp.int32, attention_mask.shape, attention_mask.ndim - 1)
    last = attention_mask.sum(axis=-1, keepdims=True, dtype=jnp.int32) - 1
    mark = (position == 0) | (position == last)
    return jnp.where(hidden & ~mark, jnp.zeros_like(attention_mask), attention_mask)
