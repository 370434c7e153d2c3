"""Zero-shot CLIP: a picture is compared with prompts, and nothing is trained.

Reference: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021, section 3.1.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from posterfusion_jax.genres import NUM_GENRES
from posterfusion_jax.models.inputs import HeadInputs
from posterfusion_jax.models.pooling import pooled_image


class ZeroShot(nn.Module):
    """logits = exp(logit_scale) * (cos(f_v, genre) - cos(f_v, neutral)). The text on the poster is not read.

    CLIP's softmax over classes needs them to exclude one another, which genres do not. Taking a neutral prompt off (ours)
    makes each genre a yes/no decision: a score over 0.5 means that the picture lies nearer to the genre's prompt than to "a
    movie poster". The ranking of the genres of a poster is CLIP's own.

    The parameters are filled by `stages.zero_shot`: "genres" [d, 13] and "neutral" [d], of unit length, and "logit_scale" [],
    the logarithm that CLIP stores.
    """

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> jax.Array:
        image = pooled_image(inputs)
        image = image / jnp.linalg.norm(image, axis=-1, keepdims=True)
        genres = self.param("genres", nn.initializers.zeros, (image.shape[-1], NUM_GENRES), jnp.float32)
        neutral = self.param("neutral", nn.initializers.zeros, (image.shape[-1],), jnp.float32)
        logit_scale = self.param("logit_scale", nn.initializers.zeros, (), jnp.float32)
        return jnp.exp(logit_scale) * (image @ genres - (image @ neutral)[:, None])
