"""Batches of texts: each distinct text once, no longer than its longest, and the features of every text on its own."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from load_checkpoint import load_pair, load_text

from posterfusion_jax.encoders.tower import Tokens
from posterfusion_jax.encoders.weights import cast_kernels
from posterfusion_jax.features import extract
from posterfusion_jax.features.batching import image_batches, text_batches, trim_padding
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.pipeline.features import load_run_towers, passports

TEXTS = ["night", "a far longer text", "", "night", "dawn", "", "night", "of the dead"]


def test_image_batches_cover_the_rows_in_order():
    batches = image_batches(3, list("abcdefg"), size=3)
    assert [batch.items for batch in batches] == [["a", "b", "c"], ["d", "e", "f"], ["g"]]
    assert [batch.rows.tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert {batch.shard for batch in batches} == {3}


@pytest.mark.parametrize("size", [1, 2, 3, 32])
def test_text_batches_have_each_distinct_text_once_and_every_row(size):
    def count(texts):  # not the order of the alphabet, nor that of the characters
        return np.array([len(text.split()) for text in texts])

    batches = text_batches(0, TEXTS, count, size=size)
    items = [text for batch in batches for text in batch.items]
    assert sorted(items) == sorted(set(TEXTS))
    assert count(items).tolist() == sorted(count(items))
    assert all(len(batch.items) <= size for batch in batches)
    given = {row: batch.items[item] for batch in batches for row, item in zip(batch.rows, batch.takes, strict=True)}
    assert [given[row] for row in range(len(TEXTS))] == TEXTS


def tokens_of(lengths, *, longest=77):
    """[b, c] lengths of chunks -> Tokens."""
    mask = (np.arange(longest) < np.asarray(lengths)[..., None]).astype(np.int32)
    return Tokens(7 * mask, mask, np.zeros(len(mask), bool))


@pytest.mark.parametrize(
    ("lengths", "shape"),
    [
        ([[3], [8]], (2, 1, 8)),
        ([[9], [2]], (2, 1, 16)),
        ([[17], [2]], (2, 1, 32)),
        ([[65], [2]], (2, 1, 77)),
        ([[5, 0, 0], [9, 0, 0]], (2, 1, 16)),
        ([[77, 4, 0], [9, 0, 0]], (2, 2, 77)),
        ([[0], [0]], (2, 1, 8)),  # a Word2Vec text without a known word
    ],
)
def test_trimming_takes_padding_alone(lengths, shape):
    tokens = tokens_of(lengths)
    trimmed = trim_padding(tokens)
    assert trimmed.input_ids.shape == trimmed.attention_mask.shape == shape
    assert trimmed.attention_mask.sum() == tokens.attention_mask.sum()


@pytest.fixture(scope="module")
def run(tmp_path_factory, posters_dir, clip_folder, tiny_run):
    run = tiny_run(tmp_path_factory.mktemp("batches"), posters_dir, clip_folder, features__batch_size=6)
    build(run)
    return run


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["truncate", "chunk_tokens"])
@pytest.mark.parametrize("kind", ["clip", "bert"])
def test_stored_text_features_are_those_of_each_text_alone_and_untrimmed(run, clip_folder, bert_folder, tmp_path, policy, kind):
    dataset, (image, _) = open_run_dataset(run), load_run_towers(run, None)
    options = {"long_text": policy, "max_chunks": 3, "max_text_tokens": 18 if policy == "truncate" else 6}
    text = load_text(clip_folder if kind == "clip" else bert_folder, **options)
    opened = extract.open_store(dataset, tmp_path, passports(image, text), level="tokens", image_grid=0, dtype="float32")
    extract.fill_store(opened, dataset, image, text, batch_size=6, threads=2)
    found = opened.read(np.arange(len(opened)))
    pooled = extract.open_store(dataset, tmp_path, passports(image, text), level="pooled", image_grid=0, dtype="float32")
    texts = {
        poster_id: of_poster
        for split in dataset.splits
        for poster_id, of_poster in zip(*(dataset.columns(split)[name] for name in ("poster_id", "text")), strict=True)
    }
    tokens = text.tokenize([texts[poster_id] for poster_id in opened.poster_ids])
    if policy == "chunk_tokens":
        assert tokens.attention_mask.any(axis=2).sum(axis=1).max() > 1
    for level, array, mask in (
        ("tokens", found["text"], found["text_mask"]),
        ("pooled", pooled.read(np.arange(len(pooled)))["text"], None),
    ):
        expected = text.forward(text.params, *tokens[:2], level=level)
        np.testing.assert_allclose(array, expected.values, atol=2e-5)
        if mask is not None:
            np.testing.assert_array_equal(mask, expected.mask)


def test_each_poster_is_decoded_once_and_each_text_of_a_shard_encoded_once(run, tmp_path, monkeypatch):
    decoded, read = [], []
    original = extract.decode_poster
    monkeypatch.setattr(extract, "decode_poster", lambda data: decoded.append(data) or original(data))
    dataset, (image, text) = open_run_dataset(run), load_run_towers(run, None)
    original_trim = extract.trim_padding
    monkeypatch.setattr(extract, "trim_padding", lambda tokens: read.extend(tokens.input_ids) or original_trim(tokens))
    opened = extract.open_store(dataset, tmp_path, passports(image, text), level="pooled", image_grid=0, dtype="float32")
    for _ in range(2):
        extract.fill_store(opened, dataset, image, text, batch_size=6, threads=2)
    assert len(decoded) == len(opened)
    assert len(read) == len({t for split in dataset.splits for t in dataset.columns(split)["text"]})


@pytest.mark.parametrize("side", [0, 1])
def test_rounding_kernels_once_changes_no_bit_of_a_bfloat16_tower(clip_folder, side):
    tower = load_pair(clip_folder, dtype="bfloat16")[side]
    image = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    inputs = (image,) if side == 0 else tower.tokenize(["night", "a far longer text", ""])[:2]
    forward = jax.jit(tower.forward, static_argnames="level")
    fast = cast_kernels(tower)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(fast)} == {"float32", "bfloat16"}
    for level in ("pooled", "tokens"):
        expected = forward(tower.params, *inputs, level=level)
        found = forward(fast, *inputs, level=level)
        assert found.values.dtype == np.float32
        np.testing.assert_array_equal(found.values, expected.values)
    whole = dataclasses.replace(tower, passport=json.loads(json.dumps(tower.passport)) | {"dtype": "float32"})
    assert cast_kernels(whole) is whole.params
