"""Reading rows of a store: the right ones in any order, without holding more files open than a system allows."""

import os

import numpy as np
import pytest
from token_store import write_token_store

from posterfusion_jax.features import store as store_module
from posterfusion_jax.features.store import FeatureStore

POSTERS = 158


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "SHARD_ROWS", 4)
    monkeypatch.setattr(store_module, "OPEN_ARRAYS", 8)
    return write_token_store(tmp_path / "features", POSTERS)


def plain_load(folder, name):
    return np.concatenate([np.load(shard / f"{name}.npy") for shard in sorted(folder.glob("shard-*"))])


@pytest.mark.parametrize("rows", [[3], [157, 0, 4, 4, 3, 81, 157], []])
def test_rows_of_all_shards_in_any_order(store, rows):
    found = store.read(np.array(rows, int))
    for name, stored in (
        *(("image", "image_tokens"), ("image_mask", "image_tokens_mask")),
        *(("text", "text_tokens"), ("text_mask", "text_tokens_mask"), ("has_text", "has_text")),
    ):
        expected = plain_load(store.folder, stored)[np.array(rows, int)]
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == expected.dtype


def test_what_is_read_can_be_written_to_and_leaves_the_store_unchanged(store):
    store.read(np.arange(5))["image"][:] = 0
    np.testing.assert_array_equal(store.read(np.arange(5))["image"], plain_load(store.folder, "image_tokens")[:5])


@pytest.mark.parametrize("level", ["tokens", "pooled"])
def test_files_are_not_all_held_open(store, level, monkeypatch):
    opened = []
    load = np.load

    def counting(path, **options):
        opened.append(path)
        return load(path, **options)

    monkeypatch.setattr(store_module.np, "load", counting)
    store = FeatureStore(store.folder, {**store.passport, "level": level}, store.poster_ids)
    everything = store.read(np.random.default_rng(0).permutation(POSTERS))
    assert len(everything["image"]) == POSTERS
    assert len(opened) > 100
    assert len(opened) <= 5 * (store.num_shards + 1)  # a read of all rows opens every file once, and the first for its shape
    held = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]
    assert sum(str(store.folder) in path for path in held) <= 8
