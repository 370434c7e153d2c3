"""A pass over features on the device is the streamed pass; what attention to a single key cannot read is left out exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_training import TRAIN, Setting, memory_source

from posterfusion_jax.losses.asymmetric import make_loss
from posterfusion_jax.models.classifier import on_features
from posterfusion_jax.models.fusion import PosterFusion
from posterfusion_jax.train.epoch_runner import Epoch, OnDeviceEpochRunner, StreamingEpochRunner, split_bytes
from posterfusion_jax.train.step import init_state
from posterfusion_jax.train.trainer import Trainer

FUSION = PosterFusion(labels=13, dim=16, heads=2, smsam_layers=2, ffn=(8,))
ATTENTIONS = ("mcam_image", "mcam_text", "smsam_1/attention", "smsam_2/attention")


def padded_source(rows, seed):
    """The same features as sequences of two tokens, of which the second is not real."""
    source = memory_source(rows, seed)

    def load(rows):
        found = source.load(rows)
        padded = {name: np.stack([found[name], np.full_like(found[name], 9.0)], axis=1) for name in ("image", "text")}
        mask = np.broadcast_to([True, False], (len(rows), 2))
        return {**padded, "image_mask": mask, "text_mask": mask}

    return dataclasses.replace(source, load=load)


def trainer_of(source, classifier):
    return Trainer(classifier, make_loss("asl"), source, source, dataclasses.replace(TRAIN, max_epochs=3))


def run(kind, source, classifier):
    """State on the host and losses after three epochs."""
    trainer, printed = trainer_of(source, classifier), []
    run_epoch = kind(trainer, 4)
    state = trainer.parallel.replicate(init_state(trainer.classifier, trainer.optimizer, seed=4))
    losses = []
    for number in (1, 2, 3):
        state, of_epoch = run_epoch(state, Epoch(number, printed.append))
        losses.append(of_epoch)
    assert sum(printed) == 3 * trainer.steps == 21
    return jax.tree.map(np.asarray, state), np.stack(losses)


def fusion(level):
    return on_features(FUSION, image_width=6, text_width=6, level=level)


def test_on_the_device_and_streamed_are_the_same_training():
    classifier = Setting().trainer.classifier  # has dropout, so random numbers are compared too
    state, losses = run(OnDeviceEpochRunner, memory_source(50, seed=1), classifier)
    streamed, wanted = run(StreamingEpochRunner, memory_source(50, seed=1), classifier)
    assert losses.shape == (3, 7)
    np.testing.assert_allclose(losses, wanted, rtol=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=5e-5), state, streamed)
    assert int(state.step) == 21


def test_however_many_steps_a_call_has_it_is_the_same_training_to_the_bit():
    trainer = trainer_of(memory_source(50, seed=1), Setting().trainer.classifier)
    ended = []
    for together, first in ((1, 7), (4, 7), (4, 3), (16, 7)):  # the third stops, and resumes after four steps
        state, printed = trainer.parallel.replicate(init_state(trainer.classifier, trainer.optimizer, seed=4)), []
        losses = np.zeros(0, np.float32)
        while len(losses) < 7:
            run_epoch = StreamingEpochRunner(trainer, 4, steps_per_call=together)
            state, losses = run_epoch(
                state, Epoch(1, printed.append, losses, lambda printed=printed, first=first: sum(printed) >= first)
            )
            first = 7
        assert sum(printed) == 7
        ended.append((jax.tree.map(np.asarray, state), losses))
    for other in ended[1:]:
        jax.tree.map(np.testing.assert_array_equal, ended[0], other)


def test_what_a_split_takes():
    source = memory_source(50, seed=1)
    assert split_bytes(source) == 50 * (2 * 6 * 4 + 2)


@pytest.mark.slow
def test_without_queries_and_keys_it_is_the_training_with_them():
    state, losses = run(OnDeviceEpochRunner, memory_source(50, seed=1), fusion("pooled"))
    whole, wanted = run(OnDeviceEpochRunner, padded_source(50, seed=1), fusion("tokens"))
    np.testing.assert_allclose(losses, wanted, rtol=1e-3)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-3), state.params, whole.params)
    sizes = [sum(a.size for a in jax.tree.leaves(s.opt_state)) for s in (state, whole)]
    assert sizes[1] - sizes[0] == 2 * len(ATTENTIONS) * 2 * 16 * 16  # two moments of a query and a key matrix each


@pytest.mark.parametrize(
    ("level", "token_fusion", "unread"),
    [
        ("pooled", "add_pooled_text", ATTENTIONS),
        ("tokens", "add_pooled_text", ()),
        ("tokens", "pool_add", ATTENTIONS[2:]),
        ("pooled", "concat", ATTENTIONS[:2]),
    ],
)
def test_only_queries_and_keys_of_a_single_key_are_unread(level, token_fusion, unread):
    head = FUSION.clone(token_fusion=token_fusion)
    classifier = on_features(head, image_width=6, text_width=6, level=level)
    params = classifier.init(jax.random.key(0))
    found = {
        "/".join(key.key for key in path[1:-1])
        for path, group in jax.tree_util.tree_leaves_with_path(classifier.groups(params))
        if group == "unread"
    }
    assert found == {f"{name}/{matrix}" for name in unread for matrix in ("query", "key")}
    tokens = () if level == "pooled" else (3,)
    batch = {name: jnp.ones((2, *tokens, 6)) for name in ("image", "text")}
    batch |= {f"{name}_mask": jnp.ones((2, *tokens), bool) for name in ("image", "text")}
    changed = jax.tree.map(lambda a, group: a + 1 if group == "unread" else a, params, classifier.groups(params))
    np.testing.assert_array_equal(classifier.forward(params, batch), classifier.forward(changed, batch))
