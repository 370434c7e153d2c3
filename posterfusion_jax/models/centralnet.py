"""CentralNet: one network per modality, and a central one that adds their hidden layers with learned weights.

Reference: Vielzeuf, Lechervy, Pateux, Jurie, "CentralNet: a Multilayer Approach for Multimodal Fusion", arXiv 1808.07275; the
rule of the central layers as in co-authors' code, github.com/juanmanpr/mfas. A row of the paper's Table I. The sizes used
for movie posters are not published: depth, widths and dropout below are a reconstruction (ours).
"""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from posterfusion_jax.models.dropout import Dropout
from posterfusion_jax.models.inputs import HeadInputs
from posterfusion_jax.models.pooling import BatchNorm, PooledText, pooled_image

LEVELS = 2  # hidden layers of each network


class CentralNet(nn.Module):
    """Fuse pooled features by CentralNet.

    Network of modality k: BN -> Dense ReLU (h^k_0) -> BN, dropout -> Dense ReLU (h^k_1) -> BN, dropout -> Dense g (o^k).
    Central network, with h^C_0 = 0: s_i = a^C_i h^C_i + sum_k a^k_i h^k_i, h^C_(i+1) = ReLU(W s_i + b); its logits
    o^C = a^C (W h^C_n + b) + sum_k a^k o^k are the output. Each a is a learned scalar, initially 1 / (number of streams).
    The loss is L(o^C) + sum_k L(o^k): the o^k are sown into the collection "auxiliary", the scalars into "gates".

    Attributes:
      labels: number of labels, g.
      width: width of all hidden layers.
      dropout: dropout rate after each hidden layer of the modality networks.
      text_lstm: width of the LSTM over the tokens of the text; 0: the mean of the tokens.
    """

    labels: int
    width: int = 512
    dropout: float = 0.5
    text_lstm: int = 0

    @nn.compact
    def __call__(self, inputs: HeadInputs, *, train: bool = False) -> Float[Array, "b g"]:
        """Return logits of the central network."""
        features = {"image": pooled_image(inputs), "text": PooledText(self.text_lstm, name="text")(inputs)}
        hidden: dict[str, list[Array]] = {}
        logits: dict[str, Array] = {}
        for modality, x in features.items():
            x = BatchNorm(name=f"{modality}_norm_0")(x, real=inputs.real, train=train)
            hidden[modality] = []
            for level in range(LEVELS):
                x = nn.relu(self._dense(self.width, f"{modality}_{level}")(x))
                hidden[modality].append(x)
                x = BatchNorm(name=f"{modality}_norm_{level + 1}")(x, real=inputs.real, train=train)
                x = Dropout(self.dropout, deterministic=not train)(x)
            logits[modality] = self._dense(self.labels, f"{modality}_logits")(x)
            self.sow("auxiliary", f"{modality}_answer", logits[modality])

        central: Array | None = None
        for level in range(LEVELS):
            streams = {modality: layers[level] for modality, layers in hidden.items()}
            if central is not None:
                streams["central"] = central
            central = nn.relu(self._dense(self.width, f"central_{level}")(self._weighted(streams, f"level_{level}")))
        assert central is not None
        logits["central"] = self._dense(self.labels, "central_logits")(central)
        return self._weighted(logits, "logits")

    def _dense(self, width: int, name: str) -> nn.Dense:
        return nn.Dense(width, kernel_init=nn.initializers.glorot_uniform(), name=name)

    def _weighted(self, streams: dict[str, Float[Array, "b d"]], where: str) -> Float[Array, "b d"]:
        """Return the sum of the streams, each weighted by its learned scalar."""
        weights = {
            name: self.param(f"weight_{where}_{name}", nn.initializers.constant(1 / len(streams)), (), jnp.float32)
            for name in streams
        }
        for name, weight in weights.items():
            self.sow("gates", f"{where}_{name}", weight)
        parts: Sequence[Array] = [weights[name] * stream for name, stream in streams.items()]
        return sum(parts[1:], parts[0])
