"""Texts without titles are encoded beside the features, without a picture, and refused where they are of something else."""

import json
import shutil

import imdb_folder
import numpy as np
import pytest

from posterfusion_jax.errors import InputError
from posterfusion_jax.features import extract, store
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.pipeline.features import extract_features, load_run_towers, open_run_texts, passports

WORDS = ("DAWN", "", "RAIN", "SNOW FALLS", "SAND")
BATCH = {"features__batch_size": 6}


@pytest.fixture(scope="module")
def run(tmp_path_factory, clip_folder, bert_folder, tiny_run):
    posters = imdb_folder.make_folder(tmp_path_factory.mktemp("titled"), read_every=1, words=WORDS)
    controls = ("text_without_title",)
    workdir = tmp_path_factory.mktemp("texts")
    run = tiny_run(workdir, posters, clip_folder, bert_folder, ocr__engine="none", evaluate__controls=controls, **BATCH)
    build(run)
    return run


@pytest.fixture
def filled(run, monkeypatch):
    monkeypatch.setattr(store, "SHARD_ROWS", 16)
    extract_features(run)
    return open_run_dataset(run), load_run_towers(run, None)


def test_every_poster_has_the_features_of_its_text_without_title(run, filled):
    dataset, towers = filled
    texts = open_run_texts(run, dataset, passports(*towers))
    arrays = texts.read(np.arange(len(texts)))
    assert arrays.keys() == {"text", "text_mask", "has_text"}
    left = dataset.texts_without_title("test")
    assert set(left) == set(WORDS)
    for poster_id, text in zip(dataset.columns("test")["poster_id"], left, strict=True):
        row = texts.poster_ids.index(poster_id)
        assert arrays["has_text"][row] == bool(text)
        tokens = towers[1].tokenize([text])
        expected = towers[1].forward(towers[1].params, tokens.input_ids, tokens.attention_mask, level="pooled")
        np.testing.assert_allclose(arrays["text"][row], expected.values[0], atol=1e-5)


def test_it_goes_on_where_it_was_cut_off_and_reads_no_picture(run, filled, tmp_path, monkeypatch):
    def no_picture(data):
        raise AssertionError("a picture was decoded")

    monkeypatch.setattr(extract, "decode_poster", no_picture)
    dataset, towers = filled
    whole = run.paths.features / "without_title"
    shutil.copytree(whole, tmp_path / "texts")
    shutil.rmtree(tmp_path / "texts" / "shard-00001")
    opened = extract.open_text_store(dataset, tmp_path / "texts", towers[1].passport, level="pooled", dtype="float32")
    assert opened.missing_shards() == [1]
    done = extract.fill_text_store(opened, dataset, towers[1], batch_size=6, threads=2)
    assert (done["computed"], done["found"]) == (16, len(opened) - 16)
    for path in whole.rglob("*.*"):
        assert (tmp_path / "texts" / path.relative_to(whole)).read_bytes() == path.read_bytes()


def test_tokens_serve_both_levels(run, filled, tmp_path):
    dataset, towers = filled
    tokens = extract.open_text_store(dataset, tmp_path, towers[1].passport, level="tokens", dtype="float16")
    extract.fill_text_store(tokens, dataset, towers[1], batch_size=6, threads=1)
    arrays = tokens.read(np.array([3, 0]))
    assert arrays["text"].shape == (2, towers[1].max_tokens, towers[1].width)
    assert arrays["text"].dtype == np.float16
    assert arrays["text_mask"].any(axis=1).all()
    pooled = extract.open_text_store(dataset, tmp_path, towers[1].passport, level="pooled", dtype="float32")
    own = open_run_texts(run, dataset, passports(*towers))
    np.testing.assert_allclose(pooled.read(np.array([3]))["text"], own.read(np.array([3]))["text"], atol=1e-5)


@pytest.mark.parametrize(
    ("field", "value"), [("text.weights_sha256", "0" * 64), ("texts_sha256", "f" * 64), ("posters", 7), ("format", 99)]
)
def test_features_of_something_else_are_an_error_that_names_the_field(run, filled, field, value):
    path = run.paths.features / "without_title" / "passport.json"
    original = path.read_text()
    passport = json.loads(original)
    del passport["check"]
    *sections, name = field.split(".")
    target = passport[sections[0]] if sections else passport
    assert name in target
    target[name] = value
    path.write_text(json.dumps(passport))
    dataset, towers = filled
    try:
        with pytest.raises(InputError, match=rf"without_title' holds other features .* {field} is .* there, .* now"):
            open_run_texts(run, dataset, passports(*towers))
    finally:
        path.write_text(original)


def test_a_store_of_texts_is_no_store_of_posters(run, filled):
    dataset, towers = filled
    folder = run.paths.features / "without_title"
    with pytest.raises(InputError, match="image is None there"):
        extract.open_store(dataset, folder, passports(*towers), level="pooled", image_grid=0, dtype="float32")


def test_other_titles_make_other_texts(run, filled, monkeypatch):
    dataset, towers = filled
    monkeypatch.setitem(dataset.columns("train"), "title", ["Dawn" for _ in dataset.columns("train")["title"]])
    with pytest.raises(InputError, match=r"texts_sha256 is .* there, .* now"):
        open_run_texts(run, dataset, passports(*towers))
