"""Prompts become directions by CLIP's recipe; what cannot be read is refused."""

import numpy as np
import pytest
from load_checkpoint import load_text
from tiny_checkpoints import clip_params, write_clip

from posterfusion_jax.encoders.clip import load_logit_scale
from posterfusion_jax.encoders.prompts import embed_prompts, fill_templates
from posterfusion_jax.errors import InputError


@pytest.fixture(scope="module")
def text_tower(clip_folder):
    return load_text(clip_folder)


def test_one_prompt_is_its_embedding_at_length_one(text_tower):
    tokens = text_tower.tokenize(["a poster"])
    (embedding,) = text_tower.forward(text_tower.params, *tokens[:2], level="pooled").values
    np.testing.assert_allclose(embed_prompts(text_tower, ["a poster"]), embedding / np.linalg.norm(embedding), atol=1e-5)


def test_several_are_averaged_at_length_one(text_tower):
    words = ("a poster", "film", "x")
    single = np.stack([embed_prompts(text_tower, [word]) for word in words])
    mean = single.mean(axis=0)
    together = np.asarray(embed_prompts(text_tower, words))
    np.testing.assert_allclose(together, mean / np.linalg.norm(mean), atol=1e-5)
    assert np.linalg.norm(together) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(mean) < 0.99  # so that the second scaling shows


def test_templates_take_the_genres_name_unchanged():
    assert fill_templates(["a {genre} film", "{genre} {x}"], "sci-fi") == ["a sci-fi film", "sci-fi {x}"]


def test_a_prompt_that_would_be_cut_is_refused(text_tower):
    with pytest.raises(InputError, match=r"'a movie poster of a horror film' is longer than the 20 tokens"):
        embed_prompts(text_tower, ["film", "a movie poster of a horror film"])


def test_the_temperature_is_the_checkpoints_own(tmp_path, clip_folder, bert_folder):
    assert load_logit_scale(str(clip_folder)) == clip_params()["logit_scale"] != 0
    assert load_logit_scale(str(write_clip(tmp_path / "flax", form="msgpack"))) == clip_params()["logit_scale"]
    with pytest.raises(InputError, match="lacks logit_scale"):
        load_logit_scale(str(write_clip(tmp_path / "without", drop=("logit_scale",))))
    with pytest.raises(InputError, match="is a 'bert' model"):
        load_logit_scale(str(bert_folder))
