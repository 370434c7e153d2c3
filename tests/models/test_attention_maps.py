"""Where a poster's words look in its picture: `Classifier.attention`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterfusion_jax.models.baselines import Addition
from posterfusion_jax.models.classifier import on_features
from posterfusion_jax.models.fusion import PosterFusion

WORDS, PATCHES = 5, 1 + 9


def tokens(seed=0, posters=3):
    rng = np.random.default_rng(seed)
    return {
        "image": rng.normal(size=(posters, PATCHES, 12)).astype(np.float32),
        "image_mask": np.ones((posters, PATCHES), bool),
        "text": rng.normal(size=(posters, WORDS, 8)).astype(np.float32),
        "text_mask": np.arange(WORDS)[None] < np.array([5, 2, 0])[:posters, None],  # the last one has no text
    }


def classifier_of(head):
    classifier = on_features(head, image_width=12, text_width=8, level="tokens")
    return classifier, classifier.init(jax.random.key(0))


def test_it_is_the_mean_over_words_and_heads_of_the_words_attention():
    head = PosterFusion(labels=13, dim=16, heads=2, smsam_layers=0)
    classifier, params = classifier_of(head)
    batch = tokens()
    found = np.asarray(jax.jit(classifier.attention)(params, batch))
    assert found.shape == (3, PATCHES)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert (found[:2].max(axis=1) > 1.05 / PATCHES).all()

    # The same from the parameters by hand, for the poster of two words.
    p = params["head"]

    def aligned(x, side):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
        x = x * np.asarray(p[f"norm_{side}"]["scale"]) + np.asarray(p[f"norm_{side}"]["bias"])
        return x @ np.asarray(p[f"project_{side}"]["kernel"]) + np.asarray(p[f"project_{side}"]["bias"])

    words, picture = aligned(batch["text"][1, :2], "text"), aligned(batch["image"][1], "image")
    q = (words @ np.asarray(p["mcam_text"]["query"]["kernel"])).reshape(2, 2, 8)
    k = (picture @ np.asarray(p["mcam_text"]["key"]["kernel"])).reshape(PATCHES, 2, 8)
    logits = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(8)
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(found[1], weights.mean(axis=(0, 1)), rtol=1e-4)


def test_words_that_are_not_there_do_not_count():
    classifier, params = classifier_of(PosterFusion(labels=13, dim=16, heads=2, smsam_layers=1))
    batch = tokens()
    changed = {**batch, "text": np.where(batch["text_mask"][..., None], batch["text"], 99.0).astype(np.float32)}
    np.testing.assert_allclose(classifier.attention(params, batch), classifier.attention(params, changed), rtol=1e-5)


def test_with_pooled_features_every_weight_is_one():
    classifier, params = classifier_of(PosterFusion(labels=13, dim=16, heads=2, smsam_layers=1))
    batch = {
        "image": jnp.ones((2, 12)),
        "image_mask": jnp.ones(2, bool),
        "text": jnp.ones((2, 8)),
        "text_mask": jnp.ones(2, bool),
    }
    np.testing.assert_array_equal(classifier.attention(params, batch), np.ones((2, 1)))


@pytest.mark.parametrize(
    "head",
    [
        PosterFusion(labels=13, dim=16, heads=2, mcam=False),
        PosterFusion(labels=13, dim=16, heads=2, cross_attention="as_printed"),
        Addition(labels=13, align=8),
    ],
)
def test_heads_whose_words_attend_to_no_picture_have_none(head):
    classifier, params = classifier_of(head)
    assert classifier.attention(params, tokens()) is None
