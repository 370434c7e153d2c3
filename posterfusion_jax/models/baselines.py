"""The simple heads of Tables I and II: one modality, addition, concatenation; each ends in the paper's FFN 512-128-13."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from posterfusion_jax.genres import NUM_GENRES
from posterfusion_jax.models.fusion import FeedForward
from posterfusion_jax.models.inputs import HeadInputs
from posterfusion_jax.models.pooling import PooledText, pooled_image


class ImageOnly(nn.Module):
    """Table II, rows "Image": f_v into the FFN. The text is not read."""

    ffn: Sequence[int] = (512, 128)
    dropout: float = 0.0

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> jax.Array:
        return FeedForward(self.ffn, self.dropout, name="ffn")(pooled_image(inputs), train=train)


class TextOnly(nn.Module):
    """Table II, row "Text": f_t into the FFN. The image is not read."""

    ffn: Sequence[int] = (512, 128)
    dropout: float = 0.0
    text_lstm: int = 0

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> jax.Array:
        text = PooledText(self.text_lstm, name="text")(inputs)
        return FeedForward(self.ffn, self.dropout, name="ffn")(text, train=train)


class Addition(nn.Module):
    """The "+" fusion of Table I: f_v + f_t into the FFN; also the ablation -MCAM -SMSAM of Table III.

    Attributes:
      align: both features pass a Dense layer to this width first, as those of a CNN and an LSTM must; 0: they are added as
        they are, and must have one width (`registry.make_head` checks it).
      text_lstm: see `PooledText`.
    """

    ffn: Sequence[int] = (512, 128)
    dropout: float = 0.0
    align: int = 0
    text_lstm: int = 0

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> jax.Array:
        image, text = pooled_image(inputs), PooledText(self.text_lstm, name="text")(inputs)
        if self.align:
            image = nn.Dense(self.align, kernel_init=nn.initializers.glorot_uniform(), name="align_image")(image)
            text = nn.Dense(self.align, kernel_init=nn.initializers.glorot_uniform(), name="align_text")(text)
        return FeedForward(self.ffn, self.dropout, name="ffn")(image + text, train=train)


class Concatenation(nn.Module):
    """The "||" fusion of Table I: [f_v ; f_t] into the FFN; the widths may differ."""

    ffn: Sequence[int] = (512, 128)
    dropout: float = 0.0
    text_lstm: int = 0

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> jax.Array:
        fused = jnp.concatenate([pooled_image(inputs), PooledText(self.text_lstm, name="text")(inputs)], axis=-1)
        return FeedForward(self.ffn, self.dropout, name="ffn")(fused, train=train)


class LinearProbe(nn.Module):
    """Logistic regression on frozen features: what a user would try first (not in the paper).

    Attributes:
      use_text: on [f_v ; f_t]; False: on the picture alone, as a CLIP linear probe usually is.
    """

    use_text: bool = True

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> jax.Array:
        features = [pooled_image(inputs)]
        if self.use_text:
            features.append(PooledText(name="text")(inputs))
        return nn.Dense(NUM_GENRES, kernel_init=nn.initializers.zeros, name="logits")(jnp.concatenate(features, axis=-1))
