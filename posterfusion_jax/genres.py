"""Genre names, their order, and their multi-hot encoding (Eq. 1 of the paper)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from posterfusion_jax.errors import InputError

PAPER_GENRES = (
    "action",
    "adventure",
    "animation",
    "biography",
    "comedy",
    "crime",
    "drama",
    "fantasy",
    "horror",
    "mystery",
    "romance",
    "sci-fi",
    "thriller",
)
GENRES = PAPER_GENRES
NUM_GENRES = len(GENRES)
INDEX = {genre: i for i, genre in enumerate(GENRES)}


def canonical_genre(spelling: str) -> str | None:
    """Return the genre of an IMDb spelling ("Sci-Fi", "Drama"), or None if it is not one of `GENRES`."""
    genre = spelling.strip().lower()
    return genre if genre in INDEX else None


def encode_genres(genres: Iterable[str]) -> np.ndarray:
    """Return the multi-hot labels of genre names (Eq. 1).

    Args:
      genres: names from `GENRES`, in any order.

    Returns:
      uint8 [g] with g = NUM_GENRES, 1 where the genre is present, in the order of `GENRES`.

    Raises:
      KeyError: a name is not one of `GENRES`.
    """
    labels = np.zeros(NUM_GENRES, np.uint8)
    for genre in genres:
        labels[INDEX[genre]] = 1
    return labels


def decode_genres(labels: np.ndarray, genres: Sequence[str] = GENRES) -> tuple[str, ...]:
    """Return the names marked by a multi-hot or boolean vector [g], in the order of `genres`, its g names."""
    return tuple(genre for genre, present in zip(genres, labels, strict=True) if present)


def read_genres(stored: Mapping[str, Any], *, place: object, key: str = "genres") -> tuple[str, ...]:
    """Return the genre names of a stored artifact, in the order of its labels and scores.

    Artifacts written before names were recorded have the genres of the paper, `PAPER_GENRES`.

    Args:
      stored: meta of a checkpoint, a results file, a dataset's report, or the arrays of a scores file.
      place: location of the artifact, for messages.
      key: key of the names in `stored`.

    Raises:
      InputError: the names are not a list of distinct strings.
    """
    if key not in stored:
        return PAPER_GENRES
    names = stored[key].tolist() if isinstance(stored[key], np.ndarray) else stored[key]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise InputError(f"{place}: {key} is {str(names)[:200]}; it must be a list of different names")
    return tuple(names)


def check_same_genres(here: Sequence[str], there: Sequence[str], *, place_here: object, place_there: object) -> None:
    """Raise InputError that names the first difference if two genre lists differ in a name, the order or the length."""
    if tuple(here) == tuple(there):
        return
    row = next((g for g, pair in enumerate(zip(here, there, strict=False)) if pair[0] != pair[1]), min(len(here), len(there)))
    raise InputError(
        f"{place_here} and {place_there} have different genres: number {row + 1} is {_nth(here, row)} of {len(here)} and "
        f"{_nth(there, row)} of {len(there)}. Scores and labels of one would be read under the names of the other; use data, "
        "checkpoints and results that were made with the same genres in the same order."
    )


def check_number(genres: Sequence[str], *, place: object) -> None:
    """Raise InputError unless the number of genres is the number that models of this version predict."""
    if len(genres) != NUM_GENRES:
        raise InputError(
            f"{place} has {len(genres)} genres ({', '.join(genres[:3])}, ...); the models of this version predict "
            f"{NUM_GENRES}. Use the version that made it, or build the dataset and train again."
        )


def _nth(genres: Sequence[str], row: int) -> str:
    return repr(genres[row]) if row < len(genres) else "absent"
