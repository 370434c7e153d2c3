"""Dropout whose mask does not depend on JAX's default float width."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float


class Dropout(nn.Module):
    """Drop each value with probability `rate` and scale the others by 1 / (1 - rate).

    `flax.linen.Dropout` compares with random numbers of JAX's default float type, so its mask changes under
    JAX_ENABLE_X64. This one compares in float32. The class has the same name as Flax's, because Flax derives the name of the
    module, and thereby its random stream, from it.

    Attributes:
      rate: probability in [0, 1).
      deterministic: True returns the values unchanged.
    """

    rate: float
    deterministic: bool

    @nn.compact
    def __call__(self, values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Return `values` with some of them set to zero; needs the random stream "dropout"."""
        if self.deterministic or self.rate == 0:
            return values
        kept = 1.0 - self.rate
        with jax.enable_x64(False):
            mask = jax.random.bernoulli(self.make_rng("dropout"), kept, values.shape)
        return jnp.where(mask, values / jnp.asarray(kept, values.dtype), jnp.zeros_like(values))
