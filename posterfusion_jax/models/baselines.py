"""Simple heads of Tables I and II: one modality, addition, concatenation; each ends in the paper's FFN 512-128-g."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from posterfusion_jax.models.fusion import FeedForward
from posterfusion_jax.models.inputs import HeadInputs
from posterfusion_jax.models.pooling import PooledText, pooled_image


class ImageOnly(nn.Module):
    """Classify the image alone (Table II, rows "Image"): f_v into the FFN."""

    labels: int
    ffn: Sequence[int] = (512, 128)
    dropout: float = 0.0

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> Float[Array, "b g"]:
        """Return logits."""
        return FeedForward(self.labels, self.ffn, self.dropout, name="ffn")(pooled_image(inputs), train=train)


class TextOnly(nn.Module):
    """Classify the text alone (Table II, row "Text"): f_t into the FFN."""

    labels: int
    ffn: Sequence[int] = (512, 128)
    dropout: float = 0.0
    text_lstm: int = 0

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> Float[Array, "b g"]:
        """Return logits."""
        text = PooledText(self.text_lstm, name="text")(inputs)
        return FeedForward(self.labels, self.ffn, self.dropout, name="ffn")(text, train=train)


class Addition(nn.Module):
    """Fuse by addition (Table I, "+"): f_v + f_t into the FFN; also the ablation -MCAM -SMSAM of Table III.

    Attributes:
      labels: number of labels, g.
      ffn: widths of the hidden layers of the FFN.
      dropout: rate after each hidden layer of the FFN.
      align: width of a Dense layer applied to each feature first, needed where the widths differ (CNN and LSTM); 0: none,
        and both features must have the same width (checked by `registry.make_head`).
      text_lstm: see `PooledText`.
    """

    labels: int
    ffn: Sequence[int] = (512, 128)
    dropout: float = 0.0
    align: int = 0
    text_lstm: int = 0

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> Float[Array, "b g"]:
        """Return logits."""
        image, text = pooled_image(inputs), PooledText(self.text_lstm, name="text")(inputs)
        if self.align:
            image = nn.Dense(self.align, kernel_init=nn.initializers.glorot_uniform(), name="align_image")(image)
            text = nn.Dense(self.align, kernel_init=nn.initializers.glorot_uniform(), name="align_text")(text)
        return FeedForward(self.labels, self.ffn, self.dropout, name="ffn")(image + text, train=train)


class Concatenation(nn.Module):
    """Fuse by concatenation (Table I, "||"): [f_v ; f_t] into the FFN; the widths may differ."""

    labels: int
    ffn: Sequence[int] = (512, 128)
    dropout: float = 0.0
    text_lstm: int = 0

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> Float[Array, "b g"]:
        """Return logits."""
        fused = jnp.concatenate([pooled_image(inputs), PooledText(self.text_lstm, name="text")(inputs)], axis=-1)
        return FeedForward(self.labels, self.ffn, self.dropout, name="ffn")(fused, train=train)


class LinearProbe(nn.Module):
    """Apply logistic regression to frozen features, the usual first baseline (not in the paper).

    Attributes:
      labels: number of labels, g.
      use_text: True: input [f_v ; f_t]; False: f_v alone, the usual CLIP linear probe.
    """

    labels: int
    use_text: bool = True

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> Float[Array, "b g"]:
        """Return logits."""
        features = [pooled_image(inputs)]
        if self.use_text:
            features.append(PooledText(name="text")(inputs))
        return nn.Dense(self.labels, kernel_init=nn.initializers.zeros, name="logits")(jnp.concatenate(features, axis=-1))
