"""Both kinds of source: the right rows, and a poster without text is a poster whose text is masked."""

import imdb_folder
import numpy as np
import pytest

from posterfusion_jax.encoders.preprocess import resize_poster
from posterfusion_jax.input_pipeline import sources
from posterfusion_jax.input_pipeline.sources import LivePosters, StoredFeatures
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.pipeline.features import extract_features, load_run_towers, open_run_store, passports
from posterfusion_jax.posters.decode import decode_poster


@pytest.fixture(scope="module")
def setting(tmp_path_factory, clip_folder, bert_folder, tiny_run):
    posters = imdb_folder.make_folder(tmp_path_factory.mktemp("half_read"), read_every=2)
    run = tiny_run(tmp_path_factory.mktemp("sources"), posters, clip_folder, bert_folder, ocr__engine="none")
    build(run)
    extract_features(run)
    dataset = open_run_dataset(run)
    towers = load_run_towers(run, None)
    return dataset, towers, open_run_store(run, dataset, passports(*towers))


def test_cached_and_live_rows_belong_together(setting):
    dataset, (image_tower, text_tower), store = setting
    cached = StoredFeatures(dataset, store, None, encode_empty=False).source("test")
    live = LivePosters(dataset, image_tower, text_tower, encode_empty=False).source("test")
    rows = np.array([2, 0, 2])
    a, b = cached.load(rows), live.load(rows)
    features = image_tower.forward(image_tower.params, b["images"], level="pooled").values
    np.testing.assert_allclose(a["image"], features, atol=1e-5)
    np.testing.assert_array_equal(a["text_mask"], b["use_text"])
    np.testing.assert_array_equal(a["text_mask"], [bool(dataset.columns("test")["text"][row]) for row in rows])
    assert cached.poster_ids == live.poster_ids
    np.testing.assert_array_equal(cached.labels, live.labels)


@pytest.mark.parametrize("encode_empty", [False, True])
def test_unread_posters_are_masked_unless_the_empty_string_is_encoded(setting, encode_empty):
    dataset, towers, store = setting
    for source in (
        StoredFeatures(dataset, store, None, encode_empty=encode_empty).source("train"),
        LivePosters(dataset, *towers, encode_empty=encode_empty).source("train"),
    ):
        batch = source.load(np.arange(len(source.labels)))
        seen = batch["text_mask"] if "text_mask" in batch else batch["use_text"]
        read = np.array([bool(text) for text in dataset.columns("train")["text"]])
        assert 0 < read.sum() < len(read)
        np.testing.assert_array_equal(seen, np.ones_like(read) if encode_empty else read)


def test_pixels_are_decoded_once_where_they_fit(setting, monkeypatch):
    dataset, (image_tower, text_tower), _ = setting
    decoded = []

    def counting(data):
        decoded.append(len(data))
        return decode_poster(data)

    monkeypatch.setattr(sources, "decode_poster", counting)
    row = dataset.row("test", 1)
    expected = resize_poster(decode_poster(row["image"]), size=image_tower.image_size, how="crop")
    for limit, times in ((sources.PIXEL_CACHE_BYTES, 1), (0, 2)):
        monkeypatch.setattr(sources, "PIXEL_CACHE_BYTES", limit)
        decoded.clear()
        source = LivePosters(dataset, image_tower, text_tower, encode_empty=False).source("test")
        for _ in range(2):
            np.testing.assert_array_equal(source.load(np.array([1]))["images"][0], expected)
        assert len(decoded) == times


def test_texts_over_the_limit_are_counted(setting):
    dataset, (image_tower, text_tower), _ = setting
    texts = dataset.columns("test")["text"]
    cut = sum(int(text_tower.tokenize([text]).truncated[0]) for text in texts)
    found = LivePosters(dataset, image_tower, text_tower, encode_empty=False).truncation("test", without_title=False)
    assert (found["cut"], found["texts"]) == (cut, sum(map(bool, texts)))
