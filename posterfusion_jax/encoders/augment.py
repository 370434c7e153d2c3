"""Random flips and shifts of training pictures, for encoders that train."""

import jax
import jax.numpy as jnp


def flip_and_shift(key: jax.Array, images: jax.Array, *, shift: int) -> jax.Array:
    """Mirrors each picture or not, and moves it by up to `shift` pixels each way; edges are repeated into the gap.

    Args:
      key: a JAX key; the same key gives the same pictures.
      images: uint8 [b, s, s, 3].
      shift: pixels, 0 or more.

    Returns:
      uint8 [b, s, s, 3].
    """
    flip_key, shift_key = jax.random.split(key)
    mirrored = jax.random.bernoulli(flip_key, shape=(images.shape[0], 1, 1, 1))
    images = jnp.where(mirrored, images[:, :, ::-1], images)
    padded = jnp.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="edge")
    corners = jax.random.randint(shift_key, (images.shape[0], 2), 0, 2 * shift + 1)

    def cut(picture: jax.Array, corner: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(picture, (corner[0], corner[1], 0), images.shape[1:])

    return jax.vmap(cut)(padded, corners)
