"""Folds: each group in one, labels spread over them; a view presents one as train, validation and test."""

import pathlib
from typing import Any

import numpy as np
import pytest

from posterfusion_jax.datasets.imdb_posters.absent_labels import absent_labels, format_absent_labels
from posterfusion_jax.datasets.imdb_posters.folds import view_fold
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.datasets.imdb_posters.splits import Film, split_folds
from posterfusion_jax.errors import InputError
from posterfusion_jax.features.extract import _index, open_store, open_text_store
from posterfusion_jax.genres import GENRES, NUM_GENRES

FOLDS = 4


def make_films(count: int, seed: int = 0) -> list[Film]:
    rng = np.random.default_rng(seed)
    labels = (rng.random((count, NUM_GENRES)) < np.linspace(0.05, 0.5, NUM_GENRES)).astype(np.uint8)
    return [Film(f"tt{i:07d}", row, 1 + i % 3) for i, row in enumerate(labels)]


def make_row(film: Film, number: int) -> dict[str, Any]:
    return {
        "poster_id": f"{film.film_id}_{number}",
        "film_id": film.film_id,
        "title": f"Film {film.film_id}",
        "year": 1999,
        "image": bytes([number]),
        "image_sha256": f"{film.film_id}{number}",
        "text": f"Film {film.film_id} word{number}",
        "ocr_status": "ok" if number % 2 else "missing",
        "labels": film.labels,
    }


def make_dataset(films: list[Film], fold_of: dict[str, str]) -> PosterDataset:
    """A stored dataset of folds, in memory."""
    splits: dict[str, list[dict[str, Any]]] = {f"fold_{fold}": [] for fold in range(FOLDS)}
    for film in films:
        splits[fold_of[film.film_id]] += [make_row(film, number) for number in range(1, film.posters + 1)]
    report = {
        "row_hash": "abc",
        "genres_order": list(GENRES),
        "leak_share": 0.0,
        "split": {"unit": "film", "rule": "folds", "seed": 0},
        "splits": {name: count_rows(rows) for name, rows in splits.items()},
    }
    return PosterDataset(pathlib.Path("nowhere"), report, splits)


def count_rows(rows: list[dict[str, Any]]) -> dict[str, Any]:
    films = {row["film_id"]: row["labels"] for row in rows}
    counts = {
        genre: {
            "posters": int(sum(row["labels"][g] for row in rows)),
            "films": int(sum(labels[g] for labels in films.values())),
        }
        for g, genre in enumerate(GENRES)
    }
    ocr = {status: n for status in ("missing", "ok") if (n := sum(row["ocr_status"] == status for row in rows))}
    return {"posters": len(rows), "films": len(films), "genres": counts, "ocr": ocr, "empty_text": 0}


@pytest.fixture(scope="module")
def dataset() -> PosterDataset:
    films = make_films(80)
    return make_dataset(films, dict(split_folds(films, folds=FOLDS)))


def test_every_film_is_in_one_fold_and_labels_keep_their_shares():
    films = make_films(400)
    folds = split_folds(films, folds=5, seed=1)
    assert list(folds) == [film.film_id for film in films]
    assert set(dict(folds).values()) == {f"fold_{fold}" for fold in range(5)}
    labels, weights = np.stack([film.labels for film in films]), np.array([film.posters for film in films])
    for name in set(dict(folds).values()):
        inside = weights * np.array([folds[film.film_id] == name for film in films])
        np.testing.assert_allclose(inside.sum() / weights.sum(), 0.2, atol=0.01)
        np.testing.assert_allclose((inside @ labels) / (weights @ labels), 0.2, atol=0.07)  # the rarest: 23 posters
    assert dict(folds) == dict(split_folds(list(reversed(films)), folds=5, seed=1))
    assert dict(folds) != dict(split_folds(films, folds=5, seed=2))


def test_more_than_ten_folds():
    folds = split_folds(make_films(60), folds=12)
    assert set(dict(folds).values()) == {f"fold_{fold}" for fold in range(12)}


@pytest.mark.parametrize(
    ("folds", "message"), [(2, "data.folds=2: give 3 to 100"), (101, "give 3"), (50, "40 films are too few")]
)
def test_folds_that_cannot_be_made_are_refused(folds, message):
    with pytest.raises(InputError, match=message):
        split_folds(make_films(40), folds=folds)


@pytest.mark.parametrize("fold", range(FOLDS))
def test_a_view_tests_on_one_fold_and_validates_on_the_next(dataset, fold):
    view = view_fold(dataset, fold)
    ids = {split: view.columns(split)["poster_id"] for split in view.splits}
    assert list(ids) == ["train", "validation", "test"]
    assert ids["test"] == dataset.columns(f"fold_{fold}")["poster_id"]
    assert ids["validation"] == dataset.columns(f"fold_{(fold + 1) % FOLDS}")["poster_id"]
    everything = [poster for name in dataset.splits for poster in dataset.columns(name)["poster_id"]]
    assert sorted(ids["train"] + ids["validation"] + ids["test"]) == sorted(everything)
    films = {split: set(view.columns(split)["film_id"]) for split in view.splits}
    assert not films["train"] & films["test"]
    assert not films["train"] & films["validation"]


def test_each_poster_is_tested_once(dataset):
    tested = [poster for fold in range(FOLDS) for poster in view_fold(dataset, fold).columns("test")["poster_id"]]
    assert len(tested) == len(set(tested)) == sum(map(len, dataset.splits.values()))


def test_rows_columns_and_texts_of_a_view_agree(dataset):
    view = view_fold(dataset, 2)
    for split in view.splits:
        columns = view.columns(split)
        assert columns is view.columns(split)
        assert columns["labels"].shape == (len(view.splits[split]), NUM_GENRES)
        assert (columns["labels"].dtype, columns["year"].dtype) == (np.uint8, np.int32)
        for index in (0, len(view.splits[split]) // 2, -1):
            row = view.row(split, index)
            assert row["poster_id"] == columns["poster_id"][index]
            assert row["image"] == bytes([int(row["poster_id"].rpartition("_")[2])])
            assert view.texts_without_title(split)[index] == f"word{row['poster_id'].rpartition('_')[2]}"
        assert len(list(view.splits[split])) == len(view.splits[split])
    with pytest.raises(IndexError, match="row 999 of"):
        view.row("train", 999)


def test_the_report_of_a_view_counts_its_rows(dataset):
    view = view_fold(dataset, 1)
    for split, part in view.report["splits"].items():
        assert part == count_rows(list(view.splits[split]))
    assert view.report["split"] == {"unit": "film", "rule": "folds", "seed": 0, "folds": FOLDS, "fold": 1}
    assert view.fingerprint == dataset.fingerprint
    assert "fold" not in dataset.report["split"]
    assert view.genres == dataset.genres


def test_all_folds_share_one_feature_store(dataset, tmp_path):
    encoders = {"image": {"id": "i"}, "text": {"id": "t"}}
    passports, texts = [], []
    for fold in range(FOLDS):
        view = view_fold(dataset, fold)
        store = open_store(view, tmp_path / "features", encoders, level="pooled", image_grid=0, dtype="float32")
        texts.append(open_text_store(view, tmp_path / "texts", {"id": "t"}, level="pooled", dtype="float32").passport)
        passports.append((store.passport, store.poster_ids))
        for poster_id, (split, row) in _index(view).items():
            assert view.row(split, row)["poster_id"] == poster_id
    assert all(passport == passports[0] for passport in passports)
    assert all(passport == texts[0] for passport in texts)


def test_what_is_no_fold_is_refused(dataset):
    with pytest.raises(InputError, match=r"data\.fold=4: .* has the folds 0 to 3"):
        view_fold(dataset, FOLDS)
    plain = PosterDataset(pathlib.Path("nowhere"), {"splits": {}}, {"train": [], "test": []})
    with pytest.raises(InputError, match="has the splits train, test and no folds"):
        view_fold(plain, 0)


def test_labels_without_a_positive_poster_are_named_by_split():
    part = {"genres": {"drama": {"posters": 3, "films": 2}, "western": {"posters": 0, "films": 0}}}
    full = {"genres": {"drama": {"posters": 3, "films": 2}, "western": {"posters": 1, "films": 1}}}
    report = {"splits": {"train": full, "test": part}}
    assert absent_labels({"splits": {"train": full}}) == {}
    assert absent_labels(report) == {"test": ("western",)}
    assert format_absent_labels(report) == [
        "no positive poster in test of western: recall and F1 are 0 there, and average precision is not defined"
    ]
