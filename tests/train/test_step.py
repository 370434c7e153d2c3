"""One step: the loss over real rows only, the two learning rates, what is frozen stays."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_training import TRAIN

from posterfusion_jax.evaluation.scoring import make_score_step
from posterfusion_jax.losses.asymmetric import make_loss
from posterfusion_jax.models.baselines import Concatenation
from posterfusion_jax.models.classifier import Classifier, TrainOutputs, on_features
from posterfusion_jax.train.step import init_state, make_optimizer, make_train_step, mean_loss


def make_batch(rows=6, seed=0):
    rng = np.random.default_rng(seed)
    batch = {
        "image": rng.normal(size=(rows, 5)).astype(np.float32),
        "image_mask": np.ones(rows, bool),
        "text": rng.normal(size=(rows, 4)).astype(np.float32),
        "text_mask": np.ones(rows, bool),
    }
    return batch, (rng.random((rows, 13)) < 0.3).astype(np.uint8)


@pytest.fixture
def classifier():
    return on_features(Concatenation(labels=13, ffn=(8,)), image_width=5, text_width=4, level="pooled")


def test_mean_loss_ignores_rows_that_fill_up():
    per_element = jnp.asarray([[1.0] * 13, [3.0] * 13, [1e9] * 13])
    assert float(mean_loss(per_element, jnp.asarray([1.0, 1.0, 0.0]))) == 2.0


def test_filled_batch_gives_the_same_update_as_the_short_one(classifier):
    batch, labels = make_batch(5)
    filled = {name: np.concatenate([a, a[:1], a[:1], a[:1]]) for name, a in batch.items()}
    filled_labels = np.concatenate([labels, labels[:1], labels[:1], labels[:1]])
    optimizer = make_optimizer(TRAIN, classifier.groups, steps_per_epoch=4)
    step = jax.jit(functools.partial(make_train_step(classifier, optimizer, make_loss("asl")), seed=0))
    short, loss_a = step(init_state(classifier, optimizer, seed=0), batch, labels, np.ones(5, np.float32))
    real = np.array([1] * 5 + [0] * 3, np.float32)
    long, loss_b = step(init_state(classifier, optimizer, seed=0), filled, filled_labels, real)
    np.testing.assert_allclose(loss_a, loss_b, rtol=1e-5)
    # Adam's first step is close to the sign of the gradient, so rounding may show where a gradient is almost zero.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), short.params, long.params)


def test_first_step_is_adams(classifier):
    batch, labels = make_batch()
    optimizer = make_optimizer(TRAIN, classifier.groups, steps_per_epoch=4)
    state = init_state(classifier, optimizer, seed=3)
    before = jax.tree.map(np.asarray, state.params)

    def objective(params):
        return make_loss("asl")(classifier.forward(params, batch), labels).mean()

    gradient = jax.grad(objective)(state.params)
    after, _ = jax.jit(functools.partial(make_train_step(classifier, optimizer, make_loss("asl")), seed=3))(
        state, batch, labels, np.ones(6, np.float32)
    )
    assert int(after.step) == 1
    for old, new, g in zip(*map(jax.tree.leaves, (before, after.params, gradient)), strict=True):
        np.testing.assert_allclose(new, old - 1e-2 * g / (np.abs(g) + 1e-8), atol=2e-5)


def test_groups_have_their_own_learning_rate_and_frozen_stays():
    def forward(params, batch):
        total = params["head"]["w"] + params["image"]["w"] + params["text"]["w"]
        return jnp.broadcast_to(total, (batch["image"].shape[0], 13))

    classifier = Classifier(
        init=lambda key: {name: {"w": jnp.zeros((1, 13))} for name in ("head", "image", "text")},
        forward=forward,
        train_forward=lambda params, batch, real, key: TrainOutputs(forward(params, batch), (), {}),
        gates=lambda params, batch: {},
        attention=lambda params, batch: None,
        groups=lambda params: {"head": {"w": "head"}, "image": {"w": "encoder"}, "text": {"w": "frozen"}},
    )
    optimizer = make_optimizer(TRAIN, classifier.groups, steps_per_epoch=4)
    batch, labels = make_batch()[0], np.zeros((6, 13), np.uint8)
    step = jax.jit(functools.partial(make_train_step(classifier, optimizer, make_loss("bce")), seed=0))
    state, _ = step(init_state(classifier, optimizer, seed=0), batch, labels, np.ones(6, np.float32))
    np.testing.assert_allclose(np.abs(state.params["head"]["w"]), 1e-2, rtol=1e-3)
    np.testing.assert_allclose(np.abs(state.params["image"]["w"]), 1e-3, rtol=1e-3)
    np.testing.assert_array_equal(state.params["text"]["w"], 0)


def test_weights_decay_and_biases_do_not(classifier):
    batch, labels = make_batch()
    states = {}
    for decay in (0.0, 0.1):
        optimizer = make_optimizer(dataclasses.replace(TRAIN, weight_decay=decay), classifier.groups, steps_per_epoch=4)
        before = init_state(classifier, optimizer, seed=0)
        old = jax.tree.map(np.asarray, before.params)
        states[decay], _ = jax.jit(functools.partial(make_train_step(classifier, optimizer, make_loss("asl")), seed=0))(
            before, batch, labels, np.ones(6, np.float32)
        )
    for start, plain, decayed in zip(*map(jax.tree.leaves, (old, states[0.0].params, states[0.1].params)), strict=True):
        expected = (
            plain - 1e-2 * 0.1 * start if start.ndim > 1 else plain
        )  # learning rate x decay x weight, besides Adam's step
        np.testing.assert_allclose(decayed, expected, atol=1e-7)


def test_cosine_schedule_rises_and_falls_to_zero(classifier):
    train = dataclasses.replace(TRAIN, schedule="cosine")
    optimizer = make_optimizer(train, classifier.groups, steps_per_epoch=10)
    params = classifier.init(jax.random.key(0))
    state = optimizer.init(params)
    gradients = jax.tree.map(jnp.ones_like, params)
    sizes = []
    with jax.numpy_dtype_promotion("standard"):
        for _ in range(101):
            updates, state = optimizer.update(gradients, state, params)
            sizes.append(float(jnp.abs(jax.tree.leaves(updates)[0]).max()))  # Adam's step under a constant gradient
    assert sizes[0] == 0
    np.testing.assert_allclose(sizes[5], 1e-2, rtol=1e-3)
    assert sizes[5] > sizes[50] > sizes[90] > sizes[100]
    assert sizes[100] < 1e-7


def test_scores_are_sigmoids_and_loss_is_per_poster(classifier):
    batch, labels = make_batch()
    params = classifier.init(jax.random.key(0))
    scores, loss = make_score_step(classifier, make_loss("bce"))(params, batch, labels)
    logits = classifier.forward(params, batch)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), rtol=1e-5)
    expected = optax.sigmoid_binary_cross_entropy(logits, labels.astype(np.float32)).mean(axis=1)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
