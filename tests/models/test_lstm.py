"""The LSTM: the printed equations, and that only real tokens matter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterfusion_jax.models.lstm import LstmEncoder

BATCH, LENGTH, WIDTH_IN, WIDTH = 4, 7, 5, 6
MODEL = LstmEncoder(WIDTH)


@pytest.fixture(scope="module")
def values():
    return jnp.asarray(np.random.default_rng(0).normal(size=(BATCH, LENGTH, WIDTH_IN)), jnp.float32)


@pytest.fixture(scope="module")
def mask():
    rows = ["1111111", "1110000", "0110010", "0000000"]
    return jnp.asarray([[mark == "1" for mark in row] for row in rows])


@pytest.fixture(scope="module")
def params(values, mask):
    """Not the initial ones: their biases are zero, so that a bias in the wrong place would go unnoticed."""
    shapes = jax.eval_shape(MODEL.init, jax.random.key(0), values, mask)["params"]
    leaves, tree = jax.tree.flatten(shapes)
    random = np.random.default_rng(1)
    return jax.tree.unflatten(tree, [jnp.asarray(random.normal(0, 0.7, leaf.shape), jnp.float32) for leaf in leaves])


@jax.jit
def apply(params, values, mask):
    states = MODEL.apply({"params": params}, values, mask)
    assert isinstance(states, jax.Array)
    return states


def by_hand(params, sequence):
    """The class's equations in NumPy, for one row [l, d] of real tokens only."""
    weights = jax.tree.map(lambda array: np.asarray(array, np.float64), params["cell"])
    h = c = np.zeros(WIDTH)
    for x in np.asarray(sequence, np.float64):
        i, f, g, o = (
            x @ weights[f"i{gate}"]["kernel"] + h @ weights[f"h{gate}"]["kernel"] + weights[f"h{gate}"]["bias"]
            for gate in "ifgo"
        )
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
    return h


def test_equals_the_equations(params, values, mask):
    states = apply(params, values, mask)
    assert (states.shape, states.dtype) == ((BATCH, WIDTH), jnp.float32)
    for row in range(BATCH):
        np.testing.assert_allclose(states[row], by_hand(params, values[row][mask[row]]), atol=2e-6)
    assert float(jnp.abs(states[0]).max()) > 0.1


def test_rows_without_a_token_are_zero(params, values, mask):
    assert (apply(params, values, mask)[3] == 0).all()
    assert (apply(params, values, jnp.zeros_like(mask)) == 0).all()


@pytest.mark.parametrize("junk", [1e6, np.nan, np.inf])
def test_masked_positions_change_nothing(params, values, mask, junk):
    spoilt = jnp.where(mask[..., None], values, junk)
    np.testing.assert_array_equal(apply(params, spoilt, mask), apply(params, values, mask))

    def total(params, values):
        return jnp.square(apply(params, values, mask)).sum()

    gradients = jax.jit(jax.grad(total, argnums=(0, 1)))
    expected, found = gradients(params, values), gradients(params, spoilt)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert (found[1][~mask] == 0).all()
    assert (jnp.abs(found[1][mask]).max(axis=-1) > 0).all()


def test_padding_on_either_side_and_in_between(params, values):
    real = jnp.ones((BATCH, LENGTH), bool)
    gaps = jnp.asarray([0, 2, 3, 5, 6, 8, 9])  # of 11 positions
    spread = jnp.full((BATCH, 11, WIDTH_IN), 9.0).at[:, gaps].set(values)
    where = jnp.zeros((BATCH, 11), bool).at[:, gaps].set(True)
    np.testing.assert_allclose(apply(params, spread, where), apply(params, values, real), atol=1e-6)


def test_order_matters(params, values, mask):
    assert float(jnp.abs(apply(params, values[:, ::-1], mask[:, ::-1]) - apply(params, values, mask)).max()) > 0.01


def test_rows_do_not_touch(params, values, mask):
    order = jnp.asarray([2, 0, 3, 1])
    np.testing.assert_allclose(apply(params, values[order], mask[order]), apply(params, values, mask)[order], atol=1e-6)


def test_jit_and_vmap_over_parameters(params, values, mask):
    plain = apply(params, values, mask)
    np.testing.assert_allclose(plain, np.asarray(MODEL.apply({"params": params}, values, mask)), atol=1e-6)  # without jit
    other = jax.tree.map(lambda array: array * 0.5, params)
    both = jax.tree.map(lambda a, b: jnp.stack([a, b]), params, other)
    states = jax.jit(jax.vmap(apply, in_axes=(0, None, None)))(both, values, mask)
    np.testing.assert_allclose(states, jnp.stack([plain, apply(other, values, mask)]), atol=1e-6)
    assert not np.allclose(states[0], states[1])


def test_parameters(values, mask):
    shapes = jax.eval_shape(LstmEncoder().init, jax.random.key(0), values, mask)["params"]["cell"]
    assert {name: array.shape for name, array in shapes["ii"].items()} == {"kernel": (WIDTH_IN, 256)}
    assert {name: array.shape for name, array in shapes["hi"].items()} == {"kernel": (256, 256), "bias": (256,)}
    assert sorted(shapes) == ["hf", "hg", "hi", "ho", "if", "ig", "ii", "io"]


def test_initial_parameters_depend_on_neither_batch_nor_length(values, mask):
    params = MODEL.init(jax.random.key(0), values, mask)["params"]
    one_token = MODEL.init(jax.random.key(0), values[:1, :1], mask[:1, :1])["params"]
    jax.tree.map(np.testing.assert_array_equal, one_token, params)
    for gate in "ifgo":
        kernel, bias = (np.asarray(params["cell"][f"h{gate}"][name]) for name in ("kernel", "bias"))
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(WIDTH), atol=1e-5)
        assert (bias == 0).all()
