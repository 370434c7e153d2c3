"""Extraction and store: right rows, resumable, and refused where the passport differs."""

import json
import shutil

import jax
import numpy as np
import pytest

from posterfusion_jax.encoders.preprocess import resize_poster
from posterfusion_jax.errors import InputError
from posterfusion_jax.features import extract, store
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.pipeline.features import extract_features, load_run_towers, open_run_store, passports
from posterfusion_jax.posters.decode import decode_poster


@pytest.fixture(scope="module")
def run(tmp_path_factory, posters_dir, clip_folder, bert_folder, tiny_run):
    run = tiny_run(tmp_path_factory.mktemp("features"), posters_dir, clip_folder, bert_folder, features__batch_size=6)
    build(run)
    return run


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(store, "SHARD_ROWS", 16)


def read_all(run):
    dataset = open_run_dataset(run)
    opened = open_run_store(run, dataset, passports(*load_run_towers(run, None)))
    return dataset, opened, opened.read(np.arange(len(opened)))


def test_every_poster_has_its_own_features(run, small_shards):
    extract_features(run)
    dataset, opened, arrays = read_all(run)
    image_tower, text_tower = load_run_towers(run, None)
    assert opened.poster_ids == sorted(opened.poster_ids)
    assert opened.num_shards > 2
    assert opened.widths == (image_tower.width, text_tower.width)
    columns = dataset.columns("test")
    for i, poster_id in enumerate(columns["poster_id"]):
        row = opened.poster_ids.index(poster_id)
        pixels = resize_poster(decode_poster(dataset.row("test", i)["image"]), size=image_tower.image_size, how="crop")
        image = image_tower.forward(image_tower.params, pixels[None], level="pooled")
        np.testing.assert_allclose(arrays["image"][row], image.values[0], atol=1e-5)
        tokens = text_tower.tokenize([columns["text"][i]])
        text = text_tower.forward(text_tower.params, tokens.input_ids, tokens.attention_mask, level="pooled")
        np.testing.assert_allclose(arrays["text"][row], text.values[0], atol=1e-5)
        assert arrays["has_text"][row] == bool(columns["text"][i])


def test_interrupted_extraction_goes_on_and_gives_the_same_bytes(run, small_shards, tmp_path, monkeypatch):
    extract_features(run)
    folder = tmp_path / "features"
    shutil.copytree(run.paths.features, folder)
    shutil.rmtree(folder / "shard-00001")
    (folder / "partial-00001").mkdir()  # what a kill in the middle of a shard leaves
    (folder / "partial-00001" / "image.npy").write_bytes(b"half")
    dataset, towers = open_run_dataset(run), load_run_towers(run, None)
    options = {"level": "pooled", "image_grid": 0, "dtype": "float32"}
    opened = extract.open_store(dataset, folder, passports(*towers), **options)
    assert opened.missing_shards() == [1]
    done = extract.fill_store(opened, dataset, *towers, batch_size=6, threads=2)
    assert done["computed"] == 16
    assert done["found"] == len(opened) - 16
    for path in run.paths.features.rglob("*.*"):
        assert (folder / path.relative_to(run.paths.features)).read_bytes() == path.read_bytes()
    assert not (folder / "partial-00001").exists()


def test_unfinished_features_are_not_used(run, small_shards, tmp_path):
    dataset, towers = open_run_dataset(run), load_run_towers(run, None)
    unfinished = run.__class__(run.config, run.paths.__class__(**(vars(run.paths) | {"features": tmp_path / "new"})), run.live)
    with pytest.raises(InputError, match=r"lacks \d+ of \d+ parts.*--mode=features"):
        open_run_store(unfinished, dataset, passports(*towers))


@pytest.mark.parametrize(
    ("field", "value"),
    [("image.weights_sha256", "0" * 64), ("text.max_tokens", 3), ("format", 99), ("posters_sha256", "f" * 64)],
)
def test_features_of_something_else_are_an_error_that_names_the_field(run, small_shards, field, value):
    extract_features(run)
    path = run.paths.features / "passport.json"
    original = path.read_text()
    passport = json.loads(original)
    del passport["check"]
    target = passport
    *sections, name = field.split(".")
    for section in sections:
        target = target[section]
    assert name in target
    target[name] = value
    path.write_text(json.dumps(passport))
    try:
        with pytest.raises(InputError, match=rf"features.dir.*{field} is .* there, .* now.*Remove that folder"):
            extract_features(run)
    finally:
        path.write_text(original)


def test_tokens_with_a_pooled_grid(run, tmp_path):
    dataset, towers = open_run_dataset(run), load_run_towers(run, None)
    options = {"level": "tokens", "image_grid": 2, "dtype": "float16"}
    opened = extract.open_store(dataset, tmp_path, passports(*towers), **options)
    extract.fill_store(opened, dataset, *towers, batch_size=6, threads=1)
    arrays = opened.read(np.array([3, 0, 3]))
    assert arrays["image"].shape == (3, 5, towers[0].width)
    assert arrays["image"].dtype == np.float16
    assert arrays["image_mask"].all()
    assert arrays["text"].shape == (3, towers[1].max_tokens, towers[1].width)
    assert arrays["text_mask"].any(axis=1).all()
    np.testing.assert_array_equal(arrays["image"][0], arrays["image"][2])

    pooled = extract.open_store(dataset, tmp_path, passports(*towers), level="pooled", image_grid=0, dtype="float32")
    assert not pooled.missing_shards()  # one extraction serves both levels
    np.testing.assert_allclose(pooled.read(np.array([3]))["image"][0], arrays["image"][0, 0], rtol=2e-3)  # float16 tokens
    assert pooled.read(np.array([3]))["image"].dtype == np.float32


def test_pooled_features_do_not_serve_tokens(run, tmp_path):
    dataset, towers = open_run_dataset(run), load_run_towers(run, None)
    extract.open_store(dataset, tmp_path, passports(*towers), level="pooled", image_grid=0, dtype="float32")
    with pytest.raises(InputError, match="level is 'pooled' there, 'tokens' now"):
        extract.open_store(dataset, tmp_path, passports(*towers), level="tokens", image_grid=0, dtype="float32")


def test_encoding_is_split_over_the_devices(run, tmp_path, monkeypatch):
    seen = []
    original = extract._delay_by_one

    def spy(items):
        for side, batch, encoded in items:
            seen.extend(len(array.sharding.device_set) for array in encoded.values())
            yield side, batch, encoded

    monkeypatch.setattr(extract, "_delay_by_one", lambda items: original(spy(items)))
    dataset, towers = open_run_dataset(run), load_run_towers(run, None)
    options = {"level": "pooled", "image_grid": 0, "dtype": "float32"}
    opened = extract.open_store(dataset, tmp_path, passports(*towers), **options)
    extract.fill_store(opened, dataset, *towers, batch_size=7, threads=1)  # rounded up to 8
    assert set(seen) == {jax.device_count()}
