"""LSTM that encodes a sequence of word vectors as one vector: the text side of the CNN rows of Table I.

Reference: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9(8), 1997; the forget gate is that of Gers,
Schmidhuber and Cummins, Learning to Forget, Neural Computation 12(10), 2000.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float


class LstmEncoder(nn.Module):
    """Return the last state of one LSTM layer over the real tokens of each row, left to right.

    With x the token and h, c the state (initially zero):

        i = sigmoid(x W_ii + h W_hi + b_hi)    input gate
        f = sigmoid(x W_if + h W_hf + b_hf)    forget gate
        g = tanh(x W_ig + h W_hg + b_hg)       candidate
        o = sigmoid(x W_io + h W_ho + b_ho)    output gate
        c' = f c + i g,   h' = o tanh(c')

    The parameters are "cell" / "ii", "if", "ig", "io" with a kernel [d, width], and "hi", "hf", "hg", "ho" with a kernel
    [width, width] and a bias [width]. The paper gives no width and no initialization; ours are 256 and Flax's defaults: LeCun
    normal for the token, orthogonal for the state, zero biases.

    Attributes:
      width: width of the state.
    """

    width: int = 256

    @nn.compact
    def __call__(self, values: Float[Array, "b l d"], mask: Bool[Array, "b l"]) -> Float[Array, "b {self.width}"]:
        """Encode the sequences.

        Args:
          values: float32 tokens.
          mask: True where a token is real, anywhere in the row. Other positions are skipped.

        Returns:
          h after the last real token of each row; zeros for rows without one.
        """
        cell = nn.OptimizedLSTMCell(self.width, name="cell")

        def step(
            cell: nn.OptimizedLSTMCell, state: Any, token: tuple[Float[Array, "b d"], Bool[Array, " b"]]
        ) -> tuple[Any, None]:
            x, real = token
            updated, _ = cell(state, x)
            return jax.tree.map(lambda new, old: jnp.where(real[:, None], new, old), updated, state), None

        # nn.RNN supports lengths only, that is, padding on the right.
        read = nn.scan(step, variable_broadcast="params", split_rngs={"params": False}, in_axes=1)
        start = tuple(jnp.zeros((len(values), self.width), values.dtype) for _ in range(2))
        # A NaN at a masked position would survive `where` in the gradient.
        (_, h), _ = read(cell, start, (jnp.where(mask[..., None], values, jnp.zeros((), values.dtype)), mask))
        return h
