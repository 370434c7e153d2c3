"""Assign films or posters to splits by pure, deterministic rules, independent of the order of the input."""

import hashlib
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.disk_collections import DiskDict, DiskSet, sort_on_disk

DEFAULT_FRACTIONS = (0.8, 0.1, 0.1)
TOLERANCE = 0.03  # how far a genre's share of a split's posters may be from its share of all posters


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


class Film(NamedTuple):
    """Hold what the split by film needs: uint8 [g] multi-hot labels, and the number of posters."""

    film_id: str
    labels: np.ndarray
    posters: int = 1


def split_films(films: Iterable[Film], *, fractions: Sequence[float] = DEFAULT_FRACTIONS, seed: int = 0) -> DiskDict[str]:
    """Split films so that every genre has about the same share in each split.

    Iterative stratification, then moves of single films.

    The genre with the fewest films left is served first: each of its films goes to the split that still lacks most of
    that genre, then most of everything. A film counts as many times as it has posters, so that the posters, not only
    the films, come near the fractions. Films are taken in the order of a hash of seed and id.

    Deviations from the source: its random tie-breaks are that hash order and the order of `SPLITS`, so that the result
    can be repeated. And since the most frequent genre comes last, when few films are left to balance it with, films are
    moved afterwards wherever a genre's share is off by more than `TOLERANCE`: each time the film whose move lowers the
    sum of squared deviations over expected counts most, until all shares are near enough or no move helps.

    Args:
      films: in any order; each is there once.
      fractions: shares of train, validation and test; at least 0, sum 1.
      seed: another seed, another split.

    Returns:
      film id -> one of `SPLITS`, in the order of the ids.

    Raises:
      InputError: invalid fractions, or a requested split that would stay empty.

    References:
      Sechidis, Tsoumakas, Vlahavas, "On the Stratification of Multi-label Data", ECML PKDD 2011, algorithm 1.
    """
    wanted_shares = check_fractions(fractions)
    # Films with the same labels and number of posters are of one kind: there are far fewer kinds than films.
    kinds: dict[tuple[bytes, int], int] = {}
    films_of_kind = []  # one each

    def numbered() -> Iterator[tuple[bytes, tuple[str, int]]]:
        for film in films:
            kind = kinds.setdefault((film.labels.tobytes(), film.posters), len(kinds))
            if kind == len(films_of_kind):
                films_of_kind.append(film)
            yield hash_order(f"{seed} {film.film_id}"), (film.film_id, kind)

    ordered = sort_on_disk(tuple, numbered())
    if not ordered:
        raise InputError("no films to split")
    kind = np.fromiter((kind for _, kind in ordered), np.int32, len(ordered))  # [n]
    labels = np.stack([film.labels for film in films_of_kind]).astype(np.float64)  # [kinds, g]
    weights = np.array([film.posters for film in films_of_kind], np.float64)  # [kinds]
    splits = _stratify(kind, labels, weights, wanted_shares)
    _balance(splits, kind, labels * weights[:, None], weights, wanted_shares)
    _check_none_empty(np.bincount(splits, minlength=len(SPLITS)), fractions, "films")
    return DiskDict(str, ((film, SPLITS[split]) for (film, _), split in zip(ordered, splits, strict=True)))


def _stratify(kind: np.ndarray, labels: np.ndarray, weights: np.ndarray, wanted_shares: np.ndarray) -> np.ndarray:
    """Assign films to splits by iterative stratification.

    Args:
      kind: int [n], the kind of each film.
      labels: float [kinds, g], multi-hot.
      weights: float [kinds], posters per film.
      wanted_shares: [splits].

    Returns:
      int8 [n], indices into `SPLITS`.
    """
    films_left = np.bincount(kind)  # [kinds]
    posters = weights * films_left
    lacking_labels = wanted_shares[:, None] * (posters @ labels)  # [splits, g]
    lacking_total = wanted_shares * posters.sum()
    label_counts = labels * weights[:, None]
    splits = np.full(len(kind), -1, np.int8)

    def assign(film: int, urgency: np.ndarray) -> None:
        best = max(np.flatnonzero(wanted_shares), key=lambda s: (urgency[s], lacking_total[s]))
        splits[film] = best
        lacking_labels[best] -= label_counts[kind[film]]
        lacking_total[best] -= weights[kind[film]]

    while True:
        with_label = films_left @ labels  # [g]
        if not with_label.any():
            break
        rarest = int(np.argmin(np.where(with_label > 0, with_label, np.inf)))
        has_it = (labels[:, rarest] > 0) & (films_left > 0)  # [kinds]
        for film in np.flatnonzero(has_it[kind]):
            assign(int(film), lacking_labels[:, rarest])
        films_left[has_it] = 0
    for film in np.flatnonzero(splits < 0):  # films without any label
        assign(int(film), lacking_total)
    return splits


def _balance(
    splits: np.ndarray, kind: np.ndarray, label_counts: np.ndarray, weights: np.ndarray, wanted_shares: np.ndarray
) -> None:
    """Move films between splits, in place, while a genre's share is off by more than `TOLERANCE` and a move helps.

    Args:
      splits: int [n], indices into `SPLITS`.
      kind: int [n], the kind of each film.
      label_counts: float [kinds, g], posters per film with each genre: all or none.
      weights: float [kinds], posters per film.
      wanted_shares: [splits].
    """
    counts = np.concatenate([label_counts, weights[:, None]], axis=1)  # [kinds, g + 1]: the last one keeps the sizes
    counts = counts[:, counts.any(axis=0)]
    total = np.bincount(kind) @ counts  # [k]
    used = np.flatnonzero(wanted_shares)
    expected = wanted_shares[used, None] * total  # [used, k]
    place = np.searchsorted(used, splits).astype(np.int8)  # [n]
    films = np.stack([np.bincount(kind[place == split], minlength=len(counts)) for split in range(len(used))])  # [used, kinds]

    def cost(deviation: np.ndarray) -> np.ndarray:
        """Return the chi-squared terms of `deviation` [used, ..., k], summed over genres and size."""
        return (deviation**2 / expected.reshape(len(used), *[1] * (deviation.ndim - 2), -1)).sum(axis=-1)

    while True:
        held = films @ counts  # [used, k]
        shares = held / np.maximum(held[:, -1:], 1)
        if np.abs(shares - total / total[-1]).max() <= TOLERANCE:
            break
        deviation = held - expected
        now = cost(deviation)  # [used]
        leaves = cost(deviation[:, None] - counts) - now[:, None]  # [used, kinds]
        enters = cost(deviation[:, None] + counts)  # [used, kinds]
        gain = leaves + enters[:, None] - now[:, None, None]  # [to, from, kinds]: below 0 is better
        gain[range(len(used)), range(len(used))] = 0
        gain[:, films.sum(axis=1) == 1] = 0  # the last film of a split stays
        gain[:, films == 0] = np.inf
        best = gain.min()
        if best > -1e-9:
            break
        split = int(np.argmax((gain == best).any(axis=(1, 2))))
        film = int(np.argmax((gain[split] == best)[place, kind]))  # the first one
        films[place[film], kind[film]] -= 1
        films[split, kind[film]] += 1
        place[film] = split
    splits[:] = used[place]


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


def hash_order(text: str) -> bytes:
    """Return a sort key that looks random and is the same on every machine."""
    return hashlib.sha256(text.encode()).digest()


def _check_none_empty(sizes: Sequence[int] | np.ndarray, fractions: Sequence[float], unit: str) -> None:
    for split, size, fraction in zip(SPLITS, sizes, fractions, strict=True):
        if fraction > 0 and size == 0:
            raise InputError(
                f"data.split_fractions={tuple(fractions)!r} leaves the split {split!r} empty: {sum(sizes)} {unit} "
                "are too few. Add posters, give larger fractions, or give your own split (data.split_by=file)."
            )
