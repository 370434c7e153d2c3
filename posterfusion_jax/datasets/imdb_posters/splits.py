"""Which film or poster goes into which split: pure rules, deterministic, independent of the order of their input."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from posterfusion_jax.datasets.imdb_posters.layout import SPLITS
from posterfusion_jax.errors import InputError

DEFAULT_FRACTIONS = (0.8, 0.1, 0.1)
TOLERANCE = 0.03  # how far a genre's share of a split's posters may be from its share of all posters


class HasIds(Protocol):
    """What a rule needs to know of a poster."""

    @property
    def poster_id(self) -> str: ...
    @property
    def film_id(self) -> str: ...


def split_films(
    film_labels: Mapping[str, np.ndarray],
    *,
    posters_per_film: Mapping[str, int] | None = None,
    fractions: Sequence[float] = DEFAULT_FRACTIONS,
    seed: int = 0,
) -> dict[str, str]:
    """Splits films so that every genre has about the same share in each split (iterative stratification, then moves).

    The genre with the fewest films left is served first: each of its films goes to the split that still lacks most of
    that genre, then most of everything. A film counts as many times as it has posters, so that the posters, not only
    the films, come near the fractions. Films are taken in the order of a hash of seed and id.

    Deviations from the source: its random tie-breaks are that hash order and the order of `SPLITS`, so that the result
    can be repeated. And since the most frequent genre comes last, when few films are left to balance it with, films are
    moved afterwards wherever a genre's share is off by more than `TOLERANCE`: each time the film whose move lowers the
    sum of squared deviations over expected counts most, until all shares are near enough or no move helps.

    Args:
      film_labels: film id -> uint8 [g] multi-hot labels.
      posters_per_film: film id -> its number of posters; every film counts 1 if None.
      fractions: shares of train, validation and test; at least 0, sum 1.
      seed: another seed, another split.

    Returns:
      film id -> one of `SPLITS`.

    Raises:
      InputError: fractions that are none, or a wanted split that would stay empty.

    References:
      Sechidis, Tsoumakas, Vlahavas, "On the Stratification of Multi-label Data", ECML PKDD 2011, algorithm 1.
    """
    wanted_shares = check_fractions(fractions)
    films = _shuffled(film_labels, seed)
    if not films:
        raise InputError("no films to split")
    labels = np.stack([film_labels[film] for film in films]).astype(np.float64)  # [n, g]
    weights = np.array([1 if posters_per_film is None else posters_per_film[film] for film in films], np.float64)
    lacking_labels = wanted_shares[:, None] * (weights @ labels)  # [splits, g]
    lacking_total = wanted_shares * weights.sum()
    splits = np.full(len(films), -1)

    def assign(film: int, urgency: np.ndarray) -> None:
        best = max(np.flatnonzero(wanted_shares), key=lambda s: (urgency[s], lacking_total[s]))
        splits[film] = best
        lacking_labels[best] -= weights[film] * labels[film]
        lacking_total[best] -= weights[film]

    while True:
        left = splits < 0
        films_left = labels[left].sum(axis=0)  # [g]
        if not films_left.any():
            break
        rarest = int(np.argmin(np.where(films_left > 0, films_left, np.inf)))
        for film in np.flatnonzero(left & (labels[:, rarest] > 0)).tolist():
            assign(film, lacking_labels[:, rarest])
    for film in np.flatnonzero(splits < 0).tolist():  # films without any label
        assign(film, lacking_total)

    _balance(splits, labels * weights[:, None], weights, wanted_shares)
    assignment = {film: SPLITS[split] for film, split in zip(films, splits, strict=True)}
    _check_none_empty(assignment, fractions, "films")
    return dict(sorted(assignment.items()))


def _balance(splits: np.ndarray, label_counts: np.ndarray, weights: np.ndarray, wanted_shares: np.ndarray) -> None:
    """Moves films between splits, in place, while a genre's share is off by more than `TOLERANCE` and a move helps.

    Args:
      splits: int [n], indices into `SPLITS`.
      label_counts: float [n, g], posters with each genre; a film's are all or none.
      weights: float [n], posters.
      wanted_shares: [splits].
    """
    counts = np.concatenate([label_counts, weights[:, None]], axis=1)  # [n, g + 1]: the last one keeps the sizes
    counts = counts[:, counts.any(axis=0)]
    used = np.flatnonzero(wanted_shares)
    expected = wanted_shares[used, None] * counts.sum(axis=0)  # [used, k]
    place = np.searchsorted(used, splits)
    films = np.arange(len(splits))

    def cost(deviation: np.ndarray) -> np.ndarray:
        """Chi-squared terms, summed over genres and size; deviation [used, ..., k]."""
        return (deviation**2 / expected.reshape(len(used), *[1] * (deviation.ndim - 2), -1)).sum(axis=-1)

    while True:
        held = np.stack([counts[place == split].sum(axis=0) for split in range(len(used))])
        shares = held / np.maximum(held[:, -1:], 1)
        if np.abs(shares - counts.sum(axis=0) / weights.sum()).max() <= TOLERANCE:
            break
        deviation = held - expected
        now = cost(deviation)  # [used]
        leaves = cost(deviation[:, None] - counts)[place, films] - now[place]  # [n]
        gain = leaves + cost(deviation[:, None] + counts) - now[:, None]  # [used, n]: below 0 is better
        gain[place, films] = 0
        gain[:, np.bincount(place, minlength=len(used))[place] == 1] = 0  # the last film of a split stays
        split, film = np.unravel_index(np.argmin(gain), gain.shape)
        if gain[split, film] > -1e-9:
            break
        place[film] = split
    splits[:] = used[place]


def split_posters(
    poster_ids: Iterable[str], *, fractions: Sequence[float] = DEFAULT_FRACTIONS, seed: int = 0
) -> dict[str, str]:
    """Splits posters at random, as the paper words it, whatever film they belong to: films leak between splits.

    The posters in the order of a hash of seed and id; validation and test get `round(fraction * n)` each.

    Args:
      poster_ids: the posters.
      fractions: shares of train, validation and test; at least 0, sum 1.
      seed: another seed, another split.

    Returns:
      poster id -> one of `SPLITS`.

    Raises:
      InputError: fractions that are none, or a wanted split that would stay empty.
    """
    shares = check_fractions(fractions)
    posters = _shuffled(poster_ids, seed)
    validation, test = (round(float(share) * len(posters)) for share in shares[1:])
    train = len(posters) - validation - test
    names = ["train"] * train + ["validation"] * validation + ["test"] * test
    assignment = dict(zip(posters, names, strict=True))
    _check_none_empty(assignment, fractions, "posters")
    return dict(sorted(assignment.items()))


def leak_share(splits: Mapping[str, Sequence[HasIds]]) -> float:
    """The share of test posters with a sibling (another poster of the same film) in train; 0.0 without test posters.

    Args:
      splits: split -> its posters.
    """
    trained = {poster.film_id for poster in splits.get("train", ())}
    tested = splits.get("test", ())
    return sum(poster.film_id in trained for poster in tested) / len(tested) if tested else 0.0


def check_fractions(fractions: Sequence[float]) -> np.ndarray:
    """The fractions as float64 [3]. Raises InputError unless they are three, at least 0, sum to 1, with some train."""
    shares = np.asarray(fractions, np.float64)
    if shares.shape != (3,) or not (shares >= 0).all() or not np.isclose(shares.sum(), 1.0) or shares[0] == 0:
        raise InputError(
            f"data.split_fractions={tuple(fractions)!r}: give three shares for train, validation and test, "
            "each at least 0, train above 0, with the sum 1, as in (0.8, 0.1, 0.1)."
        )
    return shares


def hash_order(text: str) -> bytes:
    """A sort key that looks random and is the same everywhere."""
    return hashlib.sha256(text.encode()).digest()


def _shuffled(ids: Iterable[str], seed: int) -> list[str]:
    return sorted(ids, key=lambda name: hash_order(f"{seed} {name}"))


def _check_none_empty(assignment: Mapping[str, str], fractions: Sequence[float], unit: str) -> None:
    for split, fraction in zip(SPLITS, fractions, strict=True):
        if fraction > 0 and split not in assignment.values():
            raise InputError(
                f"data.split_fractions={tuple(fractions)!r} leaves the split {split!r} empty: {len(assignment)} {unit} "
                "are too few. Add posters, give larger fractions, or give your own split (data.split_by=file)."
            )
