"""Assign films or posters to splits by pure, deterministic rules, independent of the order of the input."""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from posterfusion_jax.datasets.imdb_posters.hashing import hash_order as hash_order
from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.datasets.imdb_posters.stratification import Film as Film
from posterfusion_jax.datasets.imdb_posters.stratification import stratify_films
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.disk_collections import DiskDict, DiskSet, sort_on_disk

DEFAULT_FRACTIONS = (0.8, 0.1, 0.1)
LEAST_FOLDS, MOST_FOLDS = 3, 100


class HasIds(Protocol):
    """Require what a rule needs to know about a poster."""

    @property
    def poster_id(self) -> str:
        """Return the poster's id, unique in the dataset."""
        ...

    @property
    def film_id(self) -> str:
        """Return the id of the poster's film."""
        ...


def split_films(
    films: Iterable[Film], *, fractions: Sequence[float] = DEFAULT_FRACTIONS, seed: int = 0, unit: str = "film"
) -> DiskDict[str]:
    """Split films so that every label has about the same share in each split (`stratification.stratify_films`).

    A film counts as many times as it has posters, so that the posters, not only the films, come near the fractions. A label
    with fewer films than there are splits has one in train.

    Args:
      films: in any order; each is there once.
      fractions: shares of train, validation and test; at least 0, sum 1.
      seed: another seed, another split.
      unit: what has several posters, for messages.

    Returns:
      film id -> one of `SPLITS`, in the order of the ids.

    Raises:
      InputError: invalid fractions, or a requested split that would stay empty.
    """
    film_ids, parts = stratify_films(films, check_fractions(fractions), seed=seed, train_first=True)
    _check_none_empty(np.bincount(parts, minlength=len(SPLITS)), fractions, f"{unit}s")
    return DiskDict(str, zip(film_ids, (SPLITS[part] for part in parts), strict=True))


def split_folds(films: Iterable[Film], *, folds: int, seed: int = 0, unit: str = "film") -> DiskDict[str]:
    """Split films into folds of equal shares for a cross-validation, as `split_films` does.

    A label with fewer films than there are folds has no positive in some folds, with any assignment.

    Args:
      films: in any order; each is there once.
      folds: number of folds, at least `LEAST_FOLDS`.
      seed: another seed, other folds.
      unit: what has several posters, for messages.

    Returns:
      film id -> one of `fold_names`, in the order of the ids.

    Raises:
      InputError: a number of folds that cannot be used, or fewer films than folds.
    """
    names = fold_names(folds)
    film_ids, parts = stratify_films(films, np.full(folds, 1 / folds), seed=seed, train_first=False)
    if (np.bincount(parts, minlength=folds) == 0).any():
        raise InputError(
            f"data.folds={folds} leaves a fold empty: {len(parts)} {unit}s are too few. Add posters, or set fewer folds "
            f"(at least {LEAST_FOLDS})."
        )
    return DiskDict(str, zip(film_ids, (names[part] for part in parts), strict=True))


def fold_names(folds: int) -> tuple[str, ...]:
    """Return the names of the stored splits of a cross-validation: "fold_0" and so on.

    Raises:
      InputError: fewer folds than `LEAST_FOLDS` or more than `MOST_FOLDS`.
    """
    if not LEAST_FOLDS <= folds <= MOST_FOLDS:
        raise InputError(
            f"data.folds={folds}: give {LEAST_FOLDS} to {MOST_FOLDS} folds; of each run one is test, one validation, and the "
            "others are train."
        )
    return tuple(f"fold_{fold}" for fold in range(folds))


def split_posters(poster_ids: Iterable[str], *, fractions: Sequence[float] = DEFAULT_FRACTIONS, seed: int = 0) -> DiskDict[str]:
    """Split posters at random, ignoring their films, as in the paper: films leak between splits.

    Posters are taken in the order of a hash of seed and id; validation and test get `round(fraction * n)` each.

    Args:
      poster_ids: the posters.
      fractions: shares of train, validation and test; at least 0, sum 1.
      seed: another seed, another split.

    Returns:
      poster id -> one of `SPLITS`, in the order of the ids.

    Raises:
      InputError: invalid fractions, or a requested split that would stay empty.
    """
    shares = check_fractions(fractions)
    posters = sort_on_disk(str, ((hash_order(f"{seed} {poster_id}"), poster_id) for poster_id in poster_ids))
    validation, test = (round(float(share) * len(posters)) for share in shares[1:])
    sizes = (len(posters) - validation - test, validation, test)
    _check_none_empty(sizes, fractions, "posters")
    names = itertools.chain.from_iterable(itertools.repeat(name, size) for name, size in zip(SPLITS, sizes, strict=True))
    return DiskDict(str, zip(posters, names, strict=True))


def leak_share(splits: Mapping[str, Collection[HasIds]]) -> float:
    """Return the share of test posters with a sibling (same film) in train; 0.0 without test posters.

    Args:
      splits: split -> its posters.
    """
    trained = DiskSet(poster.film_id for poster in splits.get("train", ()))
    tested = splits.get("test", ())
    return sum(poster.film_id in trained for poster in tested) / len(tested) if tested else 0.0


def check_fractions(fractions: Sequence[float]) -> np.ndarray:
    """Return the fractions as float64 [3].

    Raises:
      InputError: they are not three, one is negative, train is 0, or the sum is not 1.
    """
    shares = np.asarray(fractions, np.float64)
    if shares.shape != (3,) or not (shares >= 0).all() or not np.isclose(shares.sum(), 1.0) or shares[0] == 0:
        raise InputError(
            f"data.split_fractions={tuple(fractions)!r}: give three shares for train, validation and test, "
            "each at least 0, train above 0, with the sum 1, as in (0.8, 0.1, 0.1)."
        )
    return shares


def _check_none_empty(sizes: Sequence[int] | np.ndarray, fractions: Sequence[float], unit: str) -> None:
    for split, size, fraction in zip(SPLITS, sizes, fractions, strict=True):
        if fraction > 0 and size == 0:
            raise InputError(
                f"data.split_fractions={tuple(fractions)!r} leaves the split {split!r} empty: {sum(sizes)} {unit} "
                "are too few. Add posters, give larger fractions, or give your own split (data.split_by=file)."
            )
