"""Zero-shot CLIP: images are compared with prompts, without training.

Reference: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021, section 3.1.
"""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from posterfusion_jax.models.inputs import HeadInputs
from posterfusion_jax.models.pooling import pooled_image


class ZeroShot(nn.Module):
    """Compute logits = exp(logit_scale) * (cos(f_v, genre) - cos(f_v, neutral)); the text of the poster is unused.

    CLIP's softmax over classes assumes mutually exclusive classes, which genres are not. Subtracting a neutral prompt (ours)
    makes each genre a binary decision: a score over 0.5 means that the image is closer to the prompt of the genre than to
    "a movie poster". The ranking of the genres of a poster is that of CLIP.

    The parameters are set by `pipeline.zero_shot`: "genres" [d, g] and "neutral" [d], of unit length, and "logit_scale" [],
    the logarithm that CLIP stores.

    Attributes:
      labels: number of labels, g.
    """

    labels: int

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> Float[Array, "b g"]:
        """Return logits."""
        image = pooled_image(inputs)
        image = image / jnp.linalg.norm(image, axis=-1, keepdims=True)
        genres = self.param("genres", nn.initializers.zeros, (image.shape[-1], self.labels), jnp.float32)
        neutral = self.param("neutral", nn.initializers.zeros, (image.shape[-1],), jnp.float32)
        logit_scale = self.param("logit_scale", nn.initializers.zeros, (), jnp.float32)
        return jnp.exp(logit_scale) * (image @ genres - (image @ neutral)[:, None])
