"""Gated multimodal unit (GMU): one gate per unit weighs the two modalities.

Reference: Arevalo, Solorio, Montes-y-Gomez, Gonzalez, "Gated Multimodal Units for Information Fusion", arXiv 1702.01992, and
their code, github.com/johnarevalo/gmu-mmimdb. A row of the paper's Table I.
"""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from posterfusion_jax.models.dropout import Dropout
from posterfusion_jax.models.inputs import HeadInputs
from posterfusion_jax.models.pooling import BatchNorm, PooledText, pooled_image
from posterfusion_jax.utils.choose import choose


class Gmu(nn.Module):
    """Fuse pooled features by a GMU, followed by the maxout classifier of its authors.

    h_v = W_v BN(x_v), h_t = W_t BN(x_t); z = sigmoid(W_z [.; .]); h = z * tanh(h_v) + (1 - z) * tanh(h_t);
    BN -> maxout -> BN -> maxout -> BN -> Dense(g). No biases before the classifier. The authors search the width in 64 to
    512 and the dropout in 0.3 to 0.7; their loss is binary cross-entropy. The mean of z over the units, [b], is sown as
    "image_gate" into the collection "gates": 1 is image only, 0 is text only.

    Attributes:
      labels: number of labels, g.
      width: H, width of the unit and of both maxout layers.
      gate_input: input of the gate. "projections": h_v and h_t before the tanh, as in the authors' code; "raw": BN(x_v) and
        BN(x_t), as in their article.
      dropout: dropout rate on the input of each linear layer.
      text_lstm: width of the LSTM over the tokens of the text; 0: the mean of the tokens.
    """

    labels: int
    width: int = 512
    gate_input: str = "projections"
    dropout: float = 0.5
    text_lstm: int = 0

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> Float[Array, "b g"]:
        """Return logits."""

        def norm(x: Float[Array, "b d"], name: str) -> Float[Array, "b d"]:
            return BatchNorm(name=name)(x, real=inputs.real, train=train)

        def linear(x: Float[Array, "b d"], width: int, name: str, *, bias: bool) -> Float[Array, "b {width}"]:
            x = Dropout(self.dropout, deterministic=not train)(x)
            return nn.Dense(width, use_bias=bias, kernel_init=nn.initializers.glorot_uniform(), name=name)(x)

        x_v = norm(pooled_image(inputs), "norm_image")
        x_t = norm(PooledText(self.text_lstm, name="text")(inputs), "norm_text")
        h_v = linear(x_v, self.width, "project_image", bias=False)
        h_t = linear(x_t, self.width, "project_text", bias=False)
        seen = choose("model.gmu_gate", self.gate_input, {"projections": (h_v, h_t), "raw": (x_v, x_t)})
        z = nn.sigmoid(linear(jnp.concatenate(seen, axis=-1), self.width, "gate", bias=False))
        self.sow("gates", "image_gate", z.mean(axis=-1))
        h = z * jnp.tanh(h_v) + (1 - z) * jnp.tanh(h_t)
        for layer in (1, 2):
            pieces = linear(norm(h, f"norm_{layer}"), 2 * self.width, f"maxout_{layer}", bias=True)
            h = pieces.reshape(-1, self.width, 2).max(axis=-1)
        return linear(norm(h, "norm_logits"), self.labels, "logits", bias=True)
