"""Suggest genres for names that are not IMDb's: hints in messages, never a mapping."""

import difflib
import functools
import re

from posterfusion_jax.datasets.imdb_posters.title_cells import is_imdb_genre
from posterfusion_jax.genres import GENRES

_CLOSE = 0.8  # difflib's ratio: enough for "thriler" to match "thriller", and for "sports" to match none
_LEAST_LETTERS = 4
_PLAIN = {genre.replace("-", ""): (genre,) for genre in GENRES}
_ALIASES = {
    **_PLAIN,
    "sciencefiction": ("sci-fi",),
    "sciencefictionfantasy": ("fantasy", "sci-fi"),
    "scififantasy": ("fantasy", "sci-fi"),
    "sf": ("sci-fi",),
    "syfy": ("sci-fi",),
    "suspense": ("thriller",),
    "animated": ("animation",),
    "anime": ("animation",),
    "cartoon": ("animation",),
    "biopic": ("biography",),
    "biographical": ("biography",),
    "bio": ("biography",),
    "romantic": ("romance",),
    "romcom": ("comedy", "romance"),
    "dramedy": ("comedy", "drama"),
    "comedies": ("comedy",),
    "mysteries": ("mystery",),
    "comic": ("comedy",),
    "detective": ("crime", "mystery"),
    "whodunit": ("mystery",),
    "gangster": ("crime",),
    "scary": ("horror",),
    "dramatic": ("drama",),
}


@functools.cache
def suggest_genres(name: str) -> tuple[str, ...]:
    """Return the genres that an unknown name may mean, in their order; empty for a name of IMDb's."""
    if is_imdb_genre(name):
        return ()
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    found = _ALIASES.get(plain) or _close(plain)
    if not found:
        found = tuple(genre for word in re.split(r"[^a-z]+", name.lower()) for genre in _ALIASES.get(word, ()))
    return tuple(genre for genre in GENRES if genre in found)


def _close(plain: str) -> tuple[str, ...]:
    if len(plain) < _LEAST_LETTERS:
        return ()
    return next((_ALIASES[name] for name in difflib.get_close_matches(plain, _ALIASES, n=1, cutoff=_CLOSE)), ())
