"""One vector a modality, for heads that do not attend; and the batch norm that leaves out rows that do not count."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from posterfusion_jax.models.inputs import HeadInputs, as_tokens, fill_missing, masked_mean
from posterfusion_jax.models.lstm import LstmEncoder


def pooled_image(inputs: HeadInputs) -> jax.Array:
    """The image feature [b, d_i]; of tokens, their mean."""
    return masked_mean(*as_tokens(inputs.image, inputs.image_mask))


class PooledText(nn.Module):
    """The text feature [b, d]; a poster without text gets a learned vector (ours: the paper does not say).

    Attributes:
      lstm: width of an LSTM that reads the tokens, whose last state is the feature; 0: the mean of the tokens.
    """

    lstm: int = 0

    @nn.compact
    def __call__(self, inputs: HeadInputs) -> jax.Array:
        values, mask = as_tokens(inputs.text, inputs.text_mask)
        if self.lstm:
            values = LstmEncoder(self.lstm, name="lstm")(values, mask)[:, None]
            mask = mask.any(axis=1, keepdims=True)
        no_text = self.param("no_text", nn.initializers.normal(0.02), (values.shape[-1],), jnp.float32)
        return masked_mean(*fill_missing(values, mask, no_text))


class BatchNorm(nn.Module):
    """Batch norm over the rows that count.

    Attributes:
      momentum: share of the running statistics that a step keeps. 0.99, as is usual, would still hold much of the starting
        values after an epoch of a hundred steps, when validation first reads them (ours).
    """

    momentum: float = 0.9

    @nn.compact
    def __call__(self, x: jax.Array, *, real: jax.Array | None, train: bool) -> jax.Array:
        """Normalises [b, d]; `real` bool [b] marks the rows whose statistics count, all if None."""
        norm = nn.BatchNorm(use_running_average=not train, momentum=self.momentum, name="norm")
        return norm(x, mask=None if real is None else real[:, None])
