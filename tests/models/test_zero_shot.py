"""The zero-shot head is its equation: scale, length and neutral prompt."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterfusion_jax.models.inputs import HeadInputs
from posterfusion_jax.models.zero_shot import ZeroShot

B, D = 5, 7


def unit(values, axis):
    return values / np.linalg.norm(values, axis=axis, keepdims=True)


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(B, D)).astype(np.float32)
    params = {
        "genres": unit(rng.normal(size=(D, 13)), 0).astype(np.float32),
        "neutral": unit(rng.normal(size=D), 0).astype(np.float32),
        "logit_scale": np.float32(np.log(100)),
    }
    return image, params


def logits(image, params):
    ones = jnp.ones(len(image), bool)
    inputs = HeadInputs(jnp.asarray(image), ones, jnp.full((len(image), 3), jnp.nan), ones)  # the text must not be read
    return np.asarray(jax.jit(ZeroShot(labels=13).apply)({"params": params}, inputs))


def test_it_is_its_equation(case):
    image, params = case
    cosines = unit(image.astype(float), 1) @ params["genres"]
    neutral = unit(image.astype(float), 1) @ params["neutral"]
    np.testing.assert_allclose(logits(image, params), 100 * (cosines - neutral[:, None]), atol=1e-3)


def test_length_of_the_picture_does_not_matter_and_the_scale_does(case):
    image, params = case
    np.testing.assert_allclose(logits(3 * image, params), logits(image, params), atol=1e-3)
    double = {**params, "logit_scale": params["logit_scale"] + np.float32(np.log(2))}
    np.testing.assert_allclose(logits(image, double), 2 * logits(image, params), rtol=1e-4)


def test_half_is_where_genre_and_neutral_prompt_are_equally_near(case):
    image, params = case
    same = {**params, "genres": np.broadcast_to(params["neutral"][:, None], (D, 13))}
    np.testing.assert_allclose(jax.nn.sigmoid(logits(image, same)), 0.5, atol=1e-5)
    at_genre = params["genres"][:, :1].T
    assert logits(at_genre, params)[0].argmax() == 0
    assert (logits(params["neutral"][None], params) < 0).all()


def test_parameters_have_the_shapes_of_a_checkpoint(case):
    image, params = case
    inputs = HeadInputs(jnp.asarray(image), jnp.ones(B, bool), jnp.zeros((B, 3)), jnp.ones(B, bool))
    made = jax.eval_shape(ZeroShot(labels=13).init, jax.random.key(0), inputs)["params"]
    assert {name: leaf.shape for name, leaf in made.items()} == {name: np.shape(leaf) for name, leaf in params.items()}
