"""Build the paper's fusion on pooled features in Keras on JAX, as printed, trained by `fit`."""

from typing import Any

import keras
from keras import ops


class Attention(keras.layers.Layer):
    """Compute Eq. 3, 4, 6 on sequences [b, l, d]."""

    def __init__(self, dim: int, heads: int, name: str):
        super().__init__(name=name)
        self.heads = heads
        self.query, self.key, self.value = (keras.layers.Dense(dim, use_bias=False, name=n) for n in ("query", "key", "value"))

    def build(self, queries_shape: Any, keys_values_shape: Any) -> None:
        """Create the weights."""
        self.query.build(queries_shape)
        self.key.build(keys_values_shape)
        self.value.build(keys_values_shape)

    def call(self, queries: Any, keys_values: Any) -> Any:
        """Attend from `queries` to `keys_values`."""

        def heads_of(x: Any) -> Any:
            return ops.reshape(x, (-1, x.shape[1], self.heads, x.shape[-1] // self.heads))

        q, k, v = heads_of(self.query(queries)), heads_of(self.key(keys_values)), heads_of(self.value(keys_values))
        return ops.reshape(ops.dot_product_attention(q, k, v), (-1, *queries.shape[1:]))


def make_fusion(*, width: int, dim: int = 512, heads: int = 8, layers: int = 4) -> keras.Model:
    """Build the whole head on inputs [b, width] of image and text, layers named as in Flax, joined by "-"."""

    def norm(name: str) -> keras.layers.Layer:
        return keras.layers.LayerNormalization(epsilon=1e-6, name=name)

    image, text = keras.Input((width,)), keras.Input((width,))
    v = keras.layers.Dense(dim, name="project_image")(norm("norm_image")(image))
    t = keras.layers.Dense(dim, name="project_text")(norm("norm_text")(text))
    v, t = keras.layers.Reshape((1, dim))(v), keras.layers.Reshape((1, dim))(t)
    z_v, z_t = Attention(dim, heads, "mcam_image")(v, t), Attention(dim, heads, "mcam_text")(t, v)
    z = norm("norm_fused")(norm("norm_mcam_image")(z_v + v) + norm("norm_mcam_text")(z_t + t))
    for layer in range(layers):
        normed = norm(f"smsam_{layer + 1}-norm")(z)
        z = Attention(dim, heads, f"smsam_{layer + 1}-attention")(normed, normed) + z
    x = keras.layers.Flatten()(norm("norm_smsam")(z))
    for k, units in enumerate((512, 128)):
        x = keras.layers.Dense(units, activation="relu", name=f"ffn-Dense_{k}")(x)
    return keras.Model([image, text], keras.layers.Dense(13, name="ffn-logits")(x))


def make_loss(*, gamma_pos: float, gamma_neg: float, margin: float) -> Any:
    """Return Eq. 9, the mean over genres of each poster."""

    def loss(labels: Any, logits: Any) -> Any:
        p_m = ops.maximum(ops.sigmoid(logits) - margin, 0)
        positive = labels * ops.power(ops.sigmoid(-logits), int(gamma_pos)) * ops.log_sigmoid(logits)
        negative = (1 - labels) * ops.power(p_m, int(gamma_neg)) * ops.log1p(-p_m)
        return -ops.mean(positive + negative, axis=-1)

    return loss


def copy_weights(model: keras.Model, params: dict[str, Any]) -> None:
    """Copy the weights of the Flax head."""
    for layer in model.layers:
        if not layer.weights:
            continue
        tree = params
        for part in layer.name.split("-"):
            tree = tree[part]
        if isinstance(layer, Attention):
            for name in ("query", "key", "value"):
                getattr(layer, name).set_weights([tree[name]["kernel"]])
        else:
            layer.set_weights([tree[name] for name in (("scale", "bias") if "scale" in tree else ("kernel", "bias"))])
