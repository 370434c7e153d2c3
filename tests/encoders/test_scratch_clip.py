import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from posterfusion_jax.config.sections import ScratchConfig
from posterfusion_jax.encoders.clip import scratch_clip
from posterfusion_jax.encoders.hf_compat import default_promotion
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.tokenizer import train_tokenizer
from posterfusion_jax.errors import InputError

TEXTS = ["the night falls", "a day in spring", "the night train", "spring falls", "", "the train"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return train_tokenizer(TEXTS, tmp_path_factory.mktemp("tokenizer"), vocab_size=300, max_tokens=12)


SMALL = ScratchConfig(
    image_size=16, patch_size=8, width=32, heads=2, image_layers=2, text_layers=1, projection=16, vocabulary=300
)


def small(tokenizer, seed=0, **sizes):
    return scratch_clip(dataclasses.replace(SMALL, **sizes), tokenizer, EncoderOptions(max_text_tokens=12, seed=seed))


def test_shapes_and_passport(tokenizer):
    image, text = small(tokenizer)
    assert (image.width, image.image_size, text.width, text.max_tokens) == (16, 16, 16, 12)
    images = np.zeros((2, 16, 16, 3), np.uint8)
    ids, mask, truncated = text.tokenize(TEXTS[:2])
    assert not truncated.any()
    seen = jax.eval_shape(partial(image.forward, level="tokens"), image.params, images)
    read = jax.eval_shape(partial(text.forward, level="tokens"), text.params, ids, mask)
    assert (seen.values.shape, read.values.shape) == ((2, 5, 16), (2, 12, 16))
    for tower in (image, text):
        assert tower.passport["source"] == "scratch, seed 0"
        assert tower.passport["random"] is True


def test_seed_decides_and_layers_do_not_disturb_each_other(tokenizer):
    image, _ = small(tokenizer)
    again, _ = small(tokenizer, text_layers=2)
    other, _ = small(tokenizer, seed=1)
    assert image.passport["weights_sha256"] == again.passport["weights_sha256"] != other.passport["weights_sha256"]


def test_initial_scales(tokenizer):
    image, text = small(tokenizer, width=64, image_layers=3)
    layer = image.params["vision_model"]["encoder"]["layers"]["0"]
    for array, std in (
        (layer["self_attn"]["q_proj"]["kernel"], 64**-0.5),
        (layer["self_attn"]["out_proj"]["kernel"], (64 * 6) ** -0.5),
        (layer["mlp"]["fc1"]["kernel"], 128**-0.5),
        (layer["mlp"]["fc2"]["kernel"], (64 * 6) ** -0.5),
        (image.params["vision_model"]["embeddings"]["patch_embedding"]["kernel"], 192**-0.5),
        (text.params["text_model"]["embeddings"]["token_embedding"]["embedding"], 0.02),
        (text.params["text_projection"]["kernel"], 64**-0.5),
    ):
        assert float(array.std()) == pytest.approx(std, rel=0.06)
    assert (layer["layer_norm1"]["scale"] == 1).all()
    assert (layer["mlp"]["fc1"]["bias"] == 0).all()


def test_gradients_reach_every_layer(tokenizer):
    image, text = small(tokenizer)
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    ids, mask, _ = text.tokenize(TEXTS[:3])

    @jax.jit
    def gradients(params):
        def loss(params):
            seen = image.forward(params["image"], images, level="tokens").values
            read = text.forward(params["text"], ids, mask, level="tokens").values
            return jnp.square(seen - 1).sum() + jnp.square(read - 1).sum()

        return jax.grad(loss)(params)

    found = gradients({"image": image.params, "text": text.params})
    for path, gradient in jax.tree_util.tree_leaves_with_path(found):
        name = jax.tree_util.keystr(path)
        assert jnp.isfinite(gradient).all(), name
        if "k_proj']['bias" not in name:  # adds the same number to all of a query's logits: no effect, no gradient
            assert jnp.abs(gradient).max() > 0, name


def test_trains_from_scratch(tokenizer):
    image, text = small(tokenizer)
    images = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)
    ids, mask, _ = text.tokenize(TEXTS)
    optimizer = optax.adam(2e-3)

    def loss(params):
        seen = image.forward(params[0], images, level="pooled").values
        read = text.forward(params[1], ids, mask, level="pooled").values
        return optax.softmax_cross_entropy_with_integer_labels(seen @ read.T, jnp.arange(6)).mean()

    @jax.jit
    def step(params, state):
        value, gradients = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), state, value

    params = (image.params, text.params)
    state = optimizer.init(params)
    values = []
    for _ in range(40):
        with default_promotion():  # optax raises a float to an integer power
            params, state, value = step(params, state)
        values.append(float(value))
    assert values[0] > 1.0
    assert values[-1] < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch_size": 7}, "patch_size 7 does not divide image_size 16"),
        ({"heads": 3}, "heads 3 does not divide width 32"),
    ],
)
def test_bad_sizes(tokenizer, options, message):
    with pytest.raises(InputError, match=message):
        small(tokenizer, **options)
