"""Define a label set: the ordered names that a dataset has labels for, and the spellings that mean each of them."""

import dataclasses
import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import PAPER_GENRES

PAPER13, IMDB, ALL = "paper13", "imdb", "all"  # values of data.labels; else the names themselves
_MOST_LABELS = 1000
_MOST_SPELLINGS = 200_000  # kept while counting

# Other spellings of genre names, by `label_key`: only those that mean one genre and nothing else.
ALIASES = {
    "sciencefiction": "scifi",
    "sf": "scifi",
    "syfy": "scifi",
    "animated": "animation",
    "biopic": "biography",
    "biographical": "biography",
    "bio": "biography",
    "romantic": "romance",
    "comedies": "comedy",
    "mysteries": "mystery",
    "documentaries": "documentary",
    "noir": "filmnoir",
}


def label_key(name: str) -> str:
    """Return what equal names have in common: letters and digits without case, spaces or punctuation."""
    return re.sub(r"[\W_]+", "", name.casefold()) or name.strip()
