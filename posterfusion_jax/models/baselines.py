"""The simple heads of Tables I and II: one modality, addition, concatenation; each ends in the paper's FFN 512-128-13."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from posterfusion_jax.models.fusion import FeedForward
from posterfusion_jax.models.inputs import HeadInputs, as_tokens, fill_missing, masked_mean


def _pooled_image(inputs: HeadInputs) -> jax.Array:
    return masked_mean(*as_tokens(inputs.image, inputs.image_mask))


def _pooled_text(module: nn.Module, inputs: HeadInputs) -> jax.Array:
    """Mean text feature [b, d_t]; a poster without text gets a learned vector (ours: the paper does not say)."""
    no_text = module.param("no_text", nn.initializers.normal(0.02), (inputs.text.shape[-1],))
    return masked_mean(*fill_missing(*as_tokens(inputs.text, inputs.text_mask), no_text))


class ImageOnly(nn.Module):
    """Table II, rows "Image": f_v into the FFN. The text is not read."""

    ffn: Sequence[int] = (512, 128)
    dropout: float = 0.0

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> jax.Array:
        return FeedForward(self.ffn, self.dropout, name="ffn")(_pooled_image(inputs), train=train)


class TextOnly(nn.Module):
    """Table II, row "Text": f_t into the FFN. The image is not read."""

    ffn: Sequence[int] = (512, 128)
    dropout: float = 0.0

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> jax.Array:
        return FeedForward(self.ffn, self.dropout, name="ffn")(_pooled_text(self, inputs), train=train)


class Addition(nn.Module):
    """Table I, rows CLIP and BLIP ("+"): f_v + f_t into the FFN; also the ablation -MCAM -SMSAM of Table III.

    Both features must have one width (`registry.make_head` checks it).
    """

    ffn: Sequence[int] = (512, 128)
    dropout: float = 0.0

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> jax.Array:
        fused = _pooled_image(inputs) + _pooled_text(self, inputs)
        return FeedForward(self.ffn, self.dropout, name="ffn")(fused, train=train)


class Concatenation(nn.Module):
    """The "||" fusion of Table I: [f_v ; f_t] into the FFN; the widths may differ."""

    ffn: Sequence[int] = (512, 128)
    dropout: float = 0.0

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> jax.Array:
        fused = jnp.concatenate([_pooled_image(inputs), _pooled_text(self, inputs)], axis=-1)
        return FeedForward(self.ffn, self.dropout, name="ffn")(fused, train=train)
