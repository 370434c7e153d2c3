"""Attention over several keys is Flax's own, value and gradient, also where one key takes all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from posterfusion_jax.models.attention import MultiHeadAttention

DIM, HEADS = 32, 4


def inputs(scale: float = 1.0) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Queries, keys and values, and a mask that leaves each row another number of keys, one at least."""
    rng = np.random.default_rng(0)
    queries, keys_values = rng.normal(size=(3, 5, 24)), rng.normal(size=(3, 7, 16))
    mask = np.arange(7) < np.array([[1], [4], [7]])
    return jnp.float32(scale * queries), jnp.float32(scale * keys_values), jnp.asarray(mask)


def plain(params: dict, queries: jax.Array, keys_values: jax.Array, mask: jax.Array) -> jax.Array:
    def heads_of(x: jax.Array, name: str) -> jax.Array:
        return (x @ params[name]["kernel"]).reshape(*x.shape[:2], HEADS, DIM // HEADS)

    attended = nn.dot_product_attention(
        heads_of(queries, "query"),
        heads_of(keys_values, "key"),
        heads_of(keys_values, "value"),
        mask=mask[:, None, None, :],
    )
    return attended.reshape(*queries.shape[:2], DIM)


@pytest.mark.parametrize("scale", [1.0, 30.0], ids=["small logits", "logits of thousands"])
def test_output_and_gradients_are_those_of_the_plain_formulation(scale):
    queries, keys_values, mask = inputs(scale)
    attention = MultiHeadAttention(DIM, HEADS)
    params = attention.init(jax.random.key(0), queries, keys_values, mask)["params"]
    ours = lambda *args: attention.apply({"params": args[0]}, *args[1:], mask)  # noqa: E731
    theirs = lambda *args: plain(*args, mask)  # noqa: E731
    expected = theirs(params, queries, keys_values)
    np.testing.assert_allclose(ours(params, queries, keys_values), expected, rtol=1e-4, atol=1e-5 * scale)

    weight = jax.random.normal(jax.random.key(1), expected.shape)  # a sum alone would have nearly no gradient
    gradients = [
        jax.grad(lambda *args, of=of: (of(*args) * weight).sum(), argnums=(0, 1, 2))(params, queries, keys_values)
        for of in (ours, theirs)
    ]
    for one, other in zip(*map(jax.tree.leaves, gradients), strict=True):
        assert float(jnp.abs(other).max()) > 0
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * float(jnp.abs(other).max()))


def test_weights_are_a_softmax_and_none_falls_on_padding():
    queries, keys_values, mask = inputs()
    attention = MultiHeadAttention(DIM, HEADS)
    variables = attention.init(jax.random.key(0), queries, keys_values, mask)
    _, state = attention.apply(variables, queries, keys_values, mask, mutable="intermediates")
    (weights,) = state["intermediates"]["attention"]
    params = variables["params"]
    q, k = (
        (x @ params[name]["kernel"]).reshape(*x.shape[:2], HEADS, -1) for x, name in ((queries, "query"), (keys_values, "key"))
    )
    expected = nn.dot_product_attention_weights(q, k, mask=mask[:, None, None, :])
    np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-6)
    hidden = jnp.broadcast_to(~mask[:, None, None, :], weights.shape)
    assert float(jnp.abs(weights[hidden]).max()) == 0.0
