"""Assign films to parts of given shares so that every label keeps its share: iterative stratification, then single moves."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from posterfusion_jax.datasets.imdb_posters.hashing import hash_order
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.disk_collections import DiskList, sort_on_disk

TOLERANCE = 0.03  # how far a label's share of a part's posters may be from its share of all posters

_BLOCK = 4096  # kinds of films per block where memory grows with kinds x labels x parts


class Film(NamedTuple):
    """Hold what stratification needs of a film or other group: uint8 [g] multi-hot labels, and the number of posters."""

    film_id: str
    labels: np.ndarray
    posters: int = 1


class Stratified(NamedTuple):
    """Hold the films in the order in which they were taken, and the part of each: int16 [n], indices into the shares."""

    film_ids: DiskList[str]
    parts: np.ndarray


class _Kinds(NamedTuple):
    """Hold the distinct kinds of films, which are far fewer than films: equal labels and equal numbers of posters.

    Attributes:
      labels: float [kinds, g], multi-hot.
      weights: float [kinds], posters per film.
    """

    labels: np.ndarray
    weights: np.ndarray


def stratify_films(films: Iterable[Film], shares: np.ndarray, *, seed: int, train_first: bool) -> Stratified:
    """Assign films to parts so that every label has about the same share in each part.

    The label with the fewest films left is served first: each of its films goes to the part that still lacks most of that
    label, then most of everything. A film counts as many times as it has posters. Films are taken in the order of a hash of
    seed and id.

    Deviations from the source: its random tie-breaks are that hash order and the order of the parts, so that the result can
    be repeated. And since the most frequent label comes last, when few films are left to balance it with, films are moved
    afterwards wherever a label's share is off by more than `TOLERANCE`: each time the film whose move lowers the sum of
    squared deviations over expected counts most, until all shares are near enough or no move helps.

    Args:
      films: in any order; each is there once.
      shares: float [parts], at least 0, sum 1.
      seed: another seed, another assignment.
      train_first: a label with fewer films than there are parts with a share has one in the first part, from which it is
        learned, for any shares and other labels of its films.

    Raises:
      InputError: there are no films.

    References:
      Sechidis, Tsoumakas, Vlahavas, "On the Stratification of Multi-label Data", ECML PKDD 2011, algorithm 1.
    """
    known: dict[tuple[bytes, int], int] = {}
    film_of_kind: list[Film] = []

    def numbered() -> Iterator[tuple[bytes, tuple[str, int]]]:
        for film in films:
            kind = known.setdefault((film.labels.tobytes(), film.posters), len(known))
            if kind == len(film_of_kind):
                film_of_kind.append(film)
            yield hash_order(f"{seed} {film.film_id}"), (film.film_id, kind)

    ordered = sort_on_disk(tuple, numbered())
    if not ordered:
        raise InputError("there are no posters to split")
    kind_of = np.fromiter((kind for _, kind in ordered), np.int32, len(ordered))  # [n]
    labels = np.stack([film.labels for film in film_of_kind]).astype(np.float64)
    kinds = _Kinds(labels, np.array([film.posters for film in film_of_kind], np.float64))
    count = np.bincount(kind_of) @ labels
    rare = (count > 0) & (count < np.count_nonzero(shares)) & train_first  # [g]
    parts = _assign_iteratively(kind_of, kinds, shares, rare)
    _balance(parts, kind_of, kinds, shares, rare)
    return Stratified(DiskList(str, (film for film, _ in ordered)), parts)


def _assign_iteratively(kind_of: np.ndarray, kinds: _Kinds, shares: np.ndarray, rare: np.ndarray) -> np.ndarray:
    """Assign films to parts by iterative stratification.

    Args:
      kind_of: int [n], the kind of each film.
      kinds: the kinds.
      shares: float [parts].
      rare: bool [g], labels that need a film in the first part.

    Returns:
      int16 [n], indices into `shares`.
    """
    labels, weights = kinds
    films_left = np.bincount(kind_of)  # [kinds]
    posters = weights * films_left
    lacking_labels = shares[:, None] * (posters @ labels)  # [parts, g]
    lacking_total = shares * posters.sum()
    label_counts = labels * weights[:, None]
    needed = np.where(rare, np.bincount(kind_of) @ labels, np.inf)  # [g], films left; inf: no film must be in the first part
    any_rare = rare.any()
    parts = np.full(len(kind_of), -1, np.int16)

    def assign(film: int, urgency: np.ndarray) -> None:
        kind = kind_of[film]
        best = max(np.flatnonzero(shares), key=lambda part: (urgency[part], lacking_total[part]))
        if any_rare:
            held = labels[kind] > 0
            if (needed[held] == 1).any():  # the last film of a label that the first part has none of
                best = 0
            needed[held] = np.inf if best == 0 else needed[held] - 1
        parts[film] = best
        lacking_labels[best] -= label_counts[kind]
        lacking_total[best] -= weights[kind]

    while True:
        with_label = films_left @ labels  # [g]
        if not with_label.any():
            break
        rarest = int(np.argmin(np.where(with_label > 0, with_label, np.inf)))
        has_it = (labels[:, rarest] > 0) & (films_left > 0)  # [kinds]
        for film in np.flatnonzero(has_it[kind_of]):
            assign(int(film), lacking_labels[:, rarest])
        films_left[has_it] = 0
    for film in np.flatnonzero(parts < 0):  # films without any label
        assign(int(film), lacking_total)
    return parts


def _balance(parts: np.ndarray, kind_of: np.ndarray, kinds: _Kinds, shares: np.ndarray, rare: np.ndarray) -> None:
    """Move films between parts, in place, while a label's share is off by more than `TOLERANCE` and a move helps.

    Args:
      parts: int16 [n], indices into `shares`.
      kind_of: int [n], the kind of each film.
      kinds: the kinds.
      shares: float [parts].
      rare: bool [g], labels of which the last film in the first part stays there.
    """
    labels, weights = kinds
    counts = np.concatenate([labels * weights[:, None], weights[:, None]], axis=1)  # [kinds, g + 1]: the last: the sizes
    counts = counts[:, counts.any(axis=0)]
    blocks = [counts[start : start + _BLOCK] for start in range(0, len(counts), _BLOCK)]
    total = np.bincount(kind_of) @ counts  # [k]
    used = np.flatnonzero(shares)
    expected = shares[used, None] * total  # [used, k]
    place = np.searchsorted(used, parts).astype(np.int16)  # [n]
    films = np.stack([np.bincount(kind_of[place == part], minlength=len(counts)) for part in range(len(used))])  # [used, kinds]

    def cost(deviation: np.ndarray) -> np.ndarray:
        """Return the chi-squared terms of `deviation` [used, ..., k], summed over labels and size."""
        return (deviation**2 / expected.reshape(len(used), *[1] * (deviation.ndim - 2), -1)).sum(axis=-1)

    while True:
        held = films @ counts  # [used, k]
        held_shares = held / np.maximum(held[:, -1:], 1)
        if np.abs(held_shares - total / total[-1]).max() <= TOLERANCE:
            break
        deviation = held - expected
        now = cost(deviation)  # [used]
        leaves = np.concatenate([cost(deviation[:, None] - block) for block in blocks], axis=1) - now[:, None]  # [used, kinds]
        enters = np.concatenate([cost(deviation[:, None] + block) for block in blocks], axis=1)  # [used, kinds]
        gain = leaves + enters[:, None] - now[:, None, None]  # [to, from, kinds]: below 0 is better
        gain[range(len(used)), range(len(used))] = 0
        gain[:, films.sum(axis=1) == 1] = 0  # the last film of a part stays
        last = rare & (films[0] @ labels == 1)
        gain[:, 0, (labels[:, last] > 0).any(axis=1)] = 0
        gain[:, films == 0] = np.inf
        best = gain.min()
        if best > -1e-9:
            break
        part = int(np.argmax((gain == best).any(axis=(1, 2))))
        film = int(np.argmax((gain[part] == best)[place, kind_of]))  # the first one
        films[place[film], kind_of[film]] -= 1
        films[part, kind_of[film]] += 1
        place[film] = part
    parts[:] = used[place]
