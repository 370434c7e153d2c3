"""Rules of splitting: shares, stratification, repeatability, leaks."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.datasets.imdb_posters.splits import (
    Film,
    hash_order,
    leak_share,
    split_films,
    split_posters,
)
from posterfusion_jax.datasets.imdb_posters.stratification import TOLERANCE
from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import NUM_GENRES


class Ids(NamedTuple):
    poster_id: str
    film_id: str


def assign(film_labels: dict[str, np.ndarray], *, posters_per_film: dict[str, int] | None = None, **options) -> dict[str, str]:
    """`split_films` of films in a dict."""
    posters = posters_per_film or dict.fromkeys(film_labels, 1)
    return dict(split_films((Film(film, labels, posters[film]) for film, labels in film_labels.items()), **options))


def by_split(posters: list[Ids], split_of: Callable[[Ids], str]) -> dict[str, list[Ids]]:
    return {name: [poster for poster in posters if split_of(poster) == name] for name in SPLITS}


def random_films(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    rates = np.linspace(0.03, 0.5, NUM_GENRES)
    labels = (rng.random((count, NUM_GENRES)) < rates).astype(np.uint8)
    labels[labels.sum(1) == 0, -1] = 1
    return {f"tt{i:07d}": row for i, row in enumerate(labels)}


def test_film_split_is_repeatable_and_ignores_the_order_of_its_input():
    films = random_films(300)
    split = assign(films, seed=3)
    assert split == assign(dict(reversed(films.items())), seed=3)
    assert split != assign(films, seed=4)
    assert split.keys() == films.keys()


@pytest.mark.parametrize(
    ("count", "seed", "fractions", "recorded"),
    [
        (400, 0, (0.8, 0.1, 0.1), "7b37928ab878ea804f8c9c3b09e62b0b425efdc816fe0c7c87692516cdf4a3d4"),
        (400, 1, (0.8, 0.2, 0.0), "dc9932822390f52b1b2d0c4faf42dfbce10e5eed6c1de7c2887512b273e17799"),
        (3000, 0, (0.8, 0.1, 0.1), "e28a328bec682a755067f2c4d50ba99e2c21de49a0362f4f41e0fceecb98d2cb"),
    ],
)
def test_the_splits_are_those_of_version_1_1_0(count, seed, fractions, recorded):
    films = {}
    for film in range(count):
        chances = hash_order(str(film))
        films[f"tt{film:07d}"] = np.array([chances[g] < 8 + 9 * g for g in range(NUM_GENRES)], np.uint8)
    split = assign(films, posters_per_film={film: 1 + int(film[2:]) % 5 for film in films}, fractions=fractions, seed=seed)
    assert hashlib.sha256(json.dumps(split).encode()).hexdigest() == recorded


def test_film_split_keeps_the_shares_of_every_genre():
    films = random_films(1000)
    split = assign(films, seed=0)
    labels = np.stack([films[film] for film in split])
    for name, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        inside = np.array([s == name for s in split.values()])
        np.testing.assert_allclose(inside.mean(), share, atol=0.02)
        # at random, the rarest genre (30 films) would scatter by 0.05
        np.testing.assert_allclose(labels[inside].sum(0) / labels.sum(0), share, atol=0.03)


@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.1), (0.8, 0.2, 0.0)])
def test_the_most_frequent_genre_of_few_films_keeps_its_share(fractions):
    # Served last by iterative stratification alone, it would have 0.64 of one split and 0.34 of another.
    rng = np.random.default_rng(2)
    films = random_films(400, seed=1)
    posters = {film: int(rng.integers(1, 6)) for film in films}
    split = assign(films, posters_per_film=posters, fractions=fractions, seed=0)
    labels, weights = np.stack([films[film] for film in split]), np.array([posters[film] for film in split])
    for name, fraction in zip(SPLITS, fractions, strict=True):
        inside = weights * np.array([s == name for s in split.values()])
        np.testing.assert_allclose(inside.sum() / weights.sum(), fraction, atol=0.01)
        if fraction:
            np.testing.assert_allclose(inside @ labels / inside.sum(), weights @ labels / weights.sum(), atol=TOLERANCE)


def test_no_split_is_emptied_for_the_sake_of_balance():
    films = {f"tt{i:07d}": np.eye(NUM_GENRES, dtype=np.uint8)[i % 2] for i in range(6)}
    assert set(assign(films, fractions=(0.7, 0.15, 0.15), seed=0).values()) == {"train", "validation", "test"}


def test_films_count_by_their_posters():
    films = random_films(600)
    posters = {film: 1 + i % 5 for i, film in enumerate(films)}
    split = assign(films, posters_per_film=posters, seed=0)
    count = Counter()
    for film, name in split.items():
        count[name] += posters[film]
    total = sum(posters.values())
    np.testing.assert_allclose([count["validation"] / total, count["test"] / total], 0.1, atol=0.01)
    # neither the films of many posters nor those of few are kept for training
    mean_in_test = np.mean([posters[film] for film, name in split.items() if name == "test"])
    np.testing.assert_allclose(mean_in_test, np.mean(list(posters.values())), atol=0.4)


def test_a_rare_genre_reaches_every_split():
    films = {f"tt{i:07d}": np.eye(NUM_GENRES, dtype=np.uint8)[0 if i < 10 else 1] for i in range(400)}
    split = assign(films, seed=0)
    assert Counter(split[film] for film in list(films)[:10]) == {"train": 8, "validation": 1, "test": 1}


@pytest.mark.parametrize("seed", range(8))
def test_a_label_of_fewer_films_than_splits_is_in_train(seed):
    # by their shares alone, train, validation and test could each have the only film of a label
    rng = np.random.default_rng(seed)
    labels = (rng.random((40, NUM_GENRES)) < 0.5 / np.arange(1, NUM_GENRES + 1) ** 1.2).astype(np.uint8)
    films = {f"tt{i:07d}": row for i, row in enumerate(labels)}
    split = assign(films, fractions=(0.4, 0.3, 0.3), seed=seed)
    in_train = np.array([split[film] == "train" for film in films])
    rare = (labels.sum(0) > 0) & (labels.sum(0) < 3)
    assert rare.any()
    assert (labels[in_train].sum(0)[rare] > 0).all()


def test_films_without_labels_are_split_too():
    films = {f"tt{i:07d}": np.zeros(NUM_GENRES, np.uint8) for i in range(20)}
    assert Counter(assign(films, seed=0).values()) == {"train": 16, "validation": 2, "test": 2}


def test_poster_split_has_exact_counts():
    ids = [f"tt{i // 3:07d}_{i % 3}" for i in range(450)]
    split = split_posters(ids, seed=0)
    assert Counter(split.values()) == {"train": 360, "validation": 45, "test": 45}
    assert split == split_posters(reversed(ids), seed=0)
    assert split != split_posters(ids, seed=1)


def test_a_share_of_zero_makes_no_split():
    split = split_posters([f"tt000000{i}" for i in range(9)], fractions=(0.67, 0.33, 0), seed=0)
    assert Counter(split.values()) == {"train": 6, "validation": 3}
    films = assign(random_films(50), fractions=(1, 0, 0), seed=0)
    assert set(films.values()) == {"train"}


def test_leak_share_counts_test_posters_with_a_sibling_in_train():
    posters = [Ids("a1", "a"), Ids("a2", "a"), Ids("b1", "b"), Ids("b2", "b"), Ids("c1", "c"), Ids("c2", "c")]
    split = {"a1": "train", "a2": "test", "b1": "test", "b2": "test", "c1": "validation", "c2": "test"}
    assert leak_share(by_split(posters, lambda poster: split[poster.poster_id])) == 1 / 4
    assert leak_share({"train": posters}) == 0.0


def test_a_film_split_does_not_leak_and_a_poster_split_does():
    posters = [Ids(f"tt{i:07d}_{k}", f"tt{i:07d}") for i in range(300) for k in range(3)]
    by_film = assign(random_films(300), seed=0)
    assert leak_share(by_split(posters, lambda poster: by_film[poster.film_id])) == 0.0
    leaks = []
    for seed in range(20):
        by_poster = split_posters([poster.poster_id for poster in posters], seed=seed)
        leaks.append(leak_share(by_split(posters, lambda poster, split=by_poster: split[poster.poster_id])))
    np.testing.assert_allclose(np.mean(leaks), 1 - 0.2**2, atol=0.02)  # unless both siblings are outside train


@pytest.mark.parametrize("fractions", [(0.8, 0.2), (0.5, 0.1, 0.1), (0, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_bad_fractions_are_named(fractions):
    with pytest.raises(InputError, match=r"data\.split_fractions"):
        split_posters(["tt0000001"], fractions=fractions, seed=0)
    with pytest.raises(InputError, match=r"data\.split_fractions"):
        assign(random_films(9), fractions=fractions, seed=0)


def test_too_few_films_or_posters_are_refused():
    with pytest.raises(InputError, match="'validation' empty: 3 posters are too few"):
        split_posters(["tt0000001", "tt0000002", "tt0000003"], seed=0)
    with pytest.raises(InputError, match="too few"):
        assign(random_films(2), seed=0)
