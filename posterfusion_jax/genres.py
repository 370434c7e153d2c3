"""The thirteen genres, their order, and their multi-hot encoding (Eq. 1 of the paper)."""

from collections.abc import Iterable

import numpy as np

GENRES = (
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
NUM_GENRES = len(GENRES)
INDEX = {genre: i for i, genre in enumerate(GENRES)}


def canonical_genre(spelling: str) -> str | None:
    """The genre that an IMDb spelling ("Sci-Fi", "Drama") stands for, or None if it is not one of the thirteen."""
    genre = spelling.strip().lower()
    return genre if genre in INDEX else None


def encode_genres(genres: Iterable[str]) -> np.ndarray:
    """Multi-hot labels (Eq. 1).

    Args:
      genres: names out of `GENRES`, in any order.

    Returns:
      uint8 [13], 1 where the genre is present, in the order of `GENRES`.

    Raises:
      KeyError: a name is not one of `GENRES`.
    """
    labels = np.zeros(NUM_GENRES, np.uint8)
    for genre in genres:
        labels[INDEX[genre]] = 1
    return labels


def decode_genres(labels: np.ndarray) -> tuple[str, ...]:
    """The names of the genres that a multi-hot (or boolean) vector [13] marks, in the order of `GENRES`."""
    return tuple(genre for genre, present in zip(GENRES, labels, strict=True) if present)
