"""Dropout that draws the same mask whatever default width JAX has for floats."""

import jax
import jax.numpy as jnp
from flax import linen as nn


class Dropout(nn.Module):
    """Drops each value with probability `rate` and scales the others by 1 / (1 - rate).

    `flax.linen.Dropout` compares with random numbers of JAX's default float type, so its mask is another one under
    JAX_ENABLE_X64. This one compares in float32. The class has the name of Flax's, from which Flax makes the module's
    name and thereby its random stream.

    Attributes:
      rate: probability in [0, 1).
      deterministic: True leaves the values as they are.
    """

    rate: float
    deterministic: bool

    @nn.compact
    def __call__(self, values: jax.Array) -> jax.Array:
        """Returns `values` of any shape with some of them set to zero; needs the random stream "dropout"."""
        if self.deterministic or self.rate == 0:
            return values
        kept = 1.0 - self.rate
        with jax.enable_x64(False):
            mask = jax.random.bernoulli(self.make_rng("dropout"), kept, values.shape)
        return jnp.where(mask, values / jnp.asarray(kept, values.dtype), jnp.zeros_like(values))
