import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterfusion_jax.encoders.grid import pool_grid
from posterfusion_jax.errors import InputError


def tokens(g, d=3):
    return jnp.asarray(np.random.default_rng(g).normal(size=(2, 1 + g * g, d)).astype(np.float32))


def test_divisible_grids_are_averaged_in_blocks():
    values = tokens(6)
    pooled = jax.jit(pool_grid, static_argnames="to")(values, to=2)
    assert pooled.shape == (2, 5, 3)
    np.testing.assert_array_equal(pooled[:, 0], values[:, 0])
    grid = np.asarray(values[:, 1:]).reshape(2, 6, 6, 3)
    np.testing.assert_allclose(pooled[:, 2], grid[:, :3, 3:].mean(axis=(1, 2)), atol=1e-6)  # upper right block
    np.testing.assert_allclose(pooled[:, 3], grid[:, 3:, :3].mean(axis=(1, 2)), atol=1e-6)  # lower left block


@pytest.mark.parametrize("to", [1, 2, 3, 4, 7])
def test_mean_is_kept_and_constants_too(to):
    values = tokens(7)
    pooled = pool_grid(values, to=to)
    np.testing.assert_allclose(pooled[:, 1:].mean(axis=1), values[:, 1:].mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(pool_grid(jnp.ones((1, 50, 2)), to=to), 1.0, atol=1e-6)


def test_full_grid_is_left_alone():
    np.testing.assert_allclose(pool_grid(tokens(5), to=5), tokens(5), atol=1e-6)


def test_uneven_cells_share_the_patch_between_them():
    values = jnp.asarray([0.0, *[1.0, 0.0, 0.0] * 3]).reshape(1, 10, 1)  # the left column of a 3 x 3 grid
    np.testing.assert_allclose(pool_grid(values, to=2)[0, 1:, 0], [2 / 3, 0, 2 / 3, 0], atol=1e-6)


def test_bad_sizes():
    with pytest.raises(InputError, match=r"features\.image_grid is 6; this tower has a 5 x 5 grid, so allowed: 1 to 5"):
        pool_grid(tokens(5), to=6)
    with pytest.raises(InputError, match="not a class token and a square grid"):
        pool_grid(jnp.ones((1, 25, 2)), to=2)
