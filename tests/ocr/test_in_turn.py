"""Samples of posters, and engines that read them in turn."""

import fake_engines
import pytest
from PIL import Image

from posterfusion_jax.ocr.interleaved import read_interleaved, sample_posters
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.posters.folder import find_posters


@pytest.fixture
def posters(tmp_path):
    (tmp_path / "images").mkdir()
    for film in range(8):
        for k in range(1, 2 + film % 3):
            Image.new("RGB", (40 + film, 60 + k)).save(tmp_path / "images" / f"tt000000{film}_{k}.png")
    return find_posters(tmp_path)[0]


def test_a_sample_has_one_poster_a_film_and_depends_on_the_seed_alone(posters):
    sample = sample_posters(posters, films=5, seed=0)
    assert len({poster.film_id for poster in sample}) == len(sample) == 5
    assert sample_posters(posters, films=3, seed=0) == sample[:3]
    assert sample == sample_posters(posters[::-1], films=5, seed=0)
    assert sample != sample_posters(posters, films=5, seed=1)
    assert {poster.film_id for poster in sample_posters(posters, films=99, seed=0)} == {poster.film_id for poster in posters}
    drawn = {poster for seed in range(40) for poster in sample_posters(posters, films=8, seed=seed)}
    assert drawn == set(posters)


def test_engines_take_turns_and_what_is_stored_is_not_read_again(posters, tmp_path):
    log = tmp_path / "log"
    engines = {name: fake_engines.FakeEngine(name, 0.0, str(log)) for name in ("a", "b", "c")}
    stores = {name: RecordWriter(tmp_path / f"{name}.jsonl") for name in engines}
    order = []
    for name, engine in engines.items():
        read = engine.read
        engine.read = lambda image, name=name, read=read: order.append(name) or read(image)
    read_interleaved(posters[:4], engines, stores, progress=False)
    assert order == [*"aabbcc", *"bca", *"cab", *"abc"]  # the first poster twice: the first time the models are loaded
    assert all(len(store) == 4 for store in stores.values())
    order.clear()
    read_interleaved(posters[:5], engines, stores, progress=False)
    assert sorted(order) == [*"aabbcc"]
    assert len(stores["a"]) == 5
    assert all(set(record.usage or ()) == {"cpu_seconds"} for record in stores["a"])
    for store in stores.values():
        store.close()
