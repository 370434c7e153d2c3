"""Genre names, their order, and their multi-hot encoding (Eq. 1 of the paper).

`GENRES` are the thirteen of the paper, the default label set. Data, checkpoints and results carry their own names, between
`FEWEST` and 1,000 of them.
"""

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
FEWEST = 2  # labels of a model
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
    row = _first_difference(here, there)
    raise InputError(
        f"{place_here} and {place_there} have different genres: number {row + 1} is {_nth(here, row)} of {len(here)} and "
        f"{_nth(there, row)} of {len(there)}. Scores and labels of one would be read under the names of the other; use data, "
        "checkpoints and results that were made with the same genres in the same order."
    )


def resolve_names(genres: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Return the names of `count` columns of labels or scores.

    Args:
      genres: the names; None: those of the paper, where there are thirteen columns.
      count: number of columns.

    Raises:
      ValueError: no names for another number of columns, or another number of names.
    """
    if genres is None:
        if count != len(PAPER_GENRES):
            raise ValueError(
                f"there are {count} labels, and names are known for the paper's {len(PAPER_GENRES)} only: name them with "
                "genres=(...), in the order of the columns."
            )
        return PAPER_GENRES
    if len(genres) != count:
        raise ValueError(f"genres has {len(genres)} names for {count} labels; give one name per column.")
    return tuple(genres)


def check_paper_genres(genres: Sequence[str], *, place: object) -> None:
    """Raise InputError that names the first difference if the genres are not those of the paper, in its order."""
    if tuple(genres) == PAPER_GENRES:
        return
    row = _first_difference(PAPER_GENRES, genres)
    raise InputError(
        f"{place} has other genres than the paper: number {row + 1} is {_nth(genres, row)} of {len(genres)}, in the paper "
        f"{_nth(PAPER_GENRES, row)} of {len(PAPER_GENRES)}. The paper's tables need its thirteen genres in its order; make "
        "tables of other labels with `posterfusion sweep` and `posterfusion compare`."
    )


def shorten_name(name: str, width: int) -> str:
    """Return a name of at most `width` characters, at least 7; the middle of a longer one becomes "..."."""
    if len(name) <= width:
        return name
    end = (width - 3) // 3
    return name[: width - 3 - end] + "..." + name[-end:]


def list_names(names: Sequence[str], most: int = 10) -> str:
    """Return the first names, separated by commas, and the number of the others."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def most_frequent(counts: Mapping[str, int], most: int) -> list[str]:
    """Return the names with the highest counts, `most` of them at most, in the order of `counts`."""
    chosen = set(sorted(counts, key=lambda name: -counts[name])[:most])
    return [name for name in counts if name in chosen]


def _first_difference(here: Sequence[str], there: Sequence[str]) -> int:
    pairs = enumerate(zip(here, there, strict=False))
    return next((g for g, (a, b) in pairs if a != b), min(len(here), len(there)))


def _nth(genres: Sequence[str], row: int) -> str:
    return repr(genres[row]) if row < len(genres) else "absent"
