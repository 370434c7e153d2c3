import json
import shutil

import jax
import numpy as np
import pytest
from load_checkpoint import load_text
from safetensors.numpy import load_file, save_file
from tiny_checkpoints import write_weights
from transformers import BertConfig, FlaxBertModel

from posterfusion_jax.encoders.hf_compat import default_promotion
from posterfusion_jax.encoders.weights import hash_params
from posterfusion_jax.errors import InputError

TEXTS = ["the night", "", "a rather long tagline of words", "x"]


def run(tower, *inputs, level="pooled"):
    return jax.tree.map(np.asarray, jax.jit(tower.forward, static_argnames="level")(tower.params, *inputs, level=level))


@pytest.fixture(scope="module")
def tower(bert_folder):
    return load_text(bert_folder)


def test_features_equal_transformers_own(tower, bert_folder):
    ids, mask, truncated = tower.tokenize(TEXTS)
    assert (ids.shape, tower.width, tower.max_tokens) == ((4, 1, 24), 32, 24)
    assert truncated.tolist() == [False, False, True, False]
    with default_promotion():
        reference = FlaxBertModel(BertConfig.from_pretrained(bert_folder), _do_init=False, add_pooling_layer=False)
        states = np.asarray(reference(ids[:, 0], mask[:, 0], params=tower.params).last_hidden_state)
    tokens, pooled = run(tower, ids, mask, level="tokens"), run(tower, ids, mask)
    np.testing.assert_array_equal(tokens.mask, mask[:, 0])
    np.testing.assert_allclose(tokens.values[tokens.mask], states[tokens.mask], atol=1e-5)
    for row in range(4):
        np.testing.assert_allclose(pooled.values[row], states[row][mask[row, 0] == 1].mean(axis=0), atol=1e-5)
    assert pooled.mask.all()


def test_padding_does_not_matter(tower):
    ids, mask, _ = tower.tokenize(["night", "x"])
    np.testing.assert_allclose(run(tower, ids, mask).values, run(tower, ids[..., :8], mask[..., :8]).values, atol=1e-5)


def test_chunks(bert_folder, tower):
    chunked = load_text(bert_folder, long_text="chunk_mean", max_chunks=2, max_text_tokens=10)
    ids, mask, _ = chunked.tokenize(["the night of the", "x"])
    assert ids.shape == (2, 2, 10)
    singly = run(tower, ids[0][:, None], mask[0][:, None]).values
    np.testing.assert_allclose(run(chunked, ids, mask).values[0], singly.mean(axis=0), atol=1e-5)
    absent = run(chunked, np.zeros_like(ids), np.zeros_like(mask))
    assert not absent.mask.any()
    assert (absent.values == 0).all()
    assert chunked.passport["unit_length"] is False


def test_bfloat16(tower, bert_folder):
    batch = tower.tokenize(TEXTS)[:2]
    half, full = run(load_text(bert_folder, dtype="bfloat16"), *batch).values, run(tower, *batch).values
    assert half.dtype == np.float32
    cosines = (half * full).sum(1) / np.linalg.norm(half, axis=1) / np.linalg.norm(full, axis=1)
    assert 0.99 < cosines.min() < 1
    assert not np.array_equal(half, full)


def test_checkpoints_under_a_head_and_with_old_names(tmp_path, bert_folder, tower):
    for name in ("config.json", "vocab.txt", "tokenizer_config.json"):
        shutil.copy(bert_folder / name, tmp_path)
    arrays = load_file(bert_folder / "model.safetensors")
    renamed = {
        "bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): array
        for name, array in arrays.items()
    }
    save_file(renamed | {"cls.predictions.bias": np.zeros(3, np.float32)}, tmp_path / "model.safetensors")
    assert load_text(tmp_path).passport["weights_sha256"] == tower.passport["weights_sha256"]
    (tmp_path / "model.safetensors").unlink()
    write_weights(tmp_path, {"bert": jax.tree.map(np.asarray, tower.params)}, form="msgpack")
    assert load_text(tmp_path).passport["weights_sha256"] == hash_params(tower.params)


def test_bad_input(tmp_path, bert_folder):
    with pytest.raises(InputError, match=r"encoders\.max_text_tokens is 25; .* takes 3 to 24"):
        load_text(bert_folder, max_text_tokens=25)
    with pytest.raises(InputError, match=r"encoders\.dtype: 'half'"):
        load_text(bert_folder, dtype="half")
    for name in ("config.json", "vocab.txt", "tokenizer_config.json"):
        shutil.copy(bert_folder / name, tmp_path)
    arrays = load_file(bert_folder / "model.safetensors")
    del arrays["encoder.layer.1.output.dense.bias"]
    save_file(arrays, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="lacks 1 weight arrays, such as encoder/layer/1/output/dense/bias"):
        load_text(tmp_path)


def test_passport(tower):
    assert json.loads(json.dumps(tower.passport)) == tower.passport
    assert (tower.passport["family"], tower.passport["pooling"], tower.passport["activation"]) == ("bert", "mean", "gelu")


@pytest.mark.real
def test_minilm_gives_its_published_similarities(weights_dir):
    minilm = load_text(weights_dir / "minilm")
    texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    values = run(minilm, *minilm.tokenize(texts)[:2]).values
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    published = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]  # https://sbert.net, Quickstart
    np.testing.assert_allclose(values @ values.T, published, atol=1e-4)
