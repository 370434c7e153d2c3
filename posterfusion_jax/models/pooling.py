"""Pooling to one vector per modality, for heads without attention, and batch norm that ignores padding rows."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from posterfusion_jax.models.inputs import HeadInputs, as_tokens, fill_missing, masked_mean
from posterfusion_jax.models.lstm import LstmEncoder


def pooled_image(inputs: HeadInputs) -> Float[Array, "b d"]:
    """Return the image feature, the mean of tokens."""
    return masked_mean(*as_tokens(inputs.image, inputs.image_mask))


class PooledText(nn.Module):
    """Pool the text; posters without text get a learned vector (ours: not specified in the paper).

    Attributes:
      lstm: width of an LSTM over the tokens, whose last state is the feature; 0: the mean of the tokens.
    """

    lstm: int = 0

    @nn.compact
    def __call__(self, inputs: HeadInputs) -> Float[Array, "b d"]:
        """Return the text feature."""
        values, mask = as_tokens(inputs.text, inputs.text_mask)
        if self.lstm:
            values = LstmEncoder(self.lstm, name="lstm")(values, mask)[:, None]
            mask = mask.any(axis=1, keepdims=True)
        no_text = self.param("no_text", nn.initializers.normal(0.02), (values.shape[-1],), jnp.float32)
        return masked_mean(*fill_missing(values, mask, no_text))


class BatchNorm(nn.Module):
    """Apply batch norm over the real rows of a batch.

    Attributes:
      momentum: decay of the running statistics per step. The usual 0.99 would retain much of the initial values after an
        epoch of a hundred steps, when validation first uses them (ours).
    """

    momentum: float = 0.9

    @nn.compact
    def __call__(self, x: Float[Array, "b d"], *, real: Bool[Array, " b"] | None, train: bool) -> Float[Array, "b d"]:
        """Normalize `x`; `real` marks the rows that enter the statistics, all if None."""
        norm = nn.BatchNorm(use_running_average=not train, momentum=self.momentum, name="norm")
        return norm(x, mask=None if real is None else real[:, None])
