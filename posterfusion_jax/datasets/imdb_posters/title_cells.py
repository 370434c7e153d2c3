"""Parse cells of a titles file as pandas, Excel and R write them: film ids, years, titles, lists of genres."""

import ast
import functools
import json
import re
from typing import Any

from posterfusion_jax.datasets.label_set import IMDB_GENRES

LONGEST_TITLE = 1_000  # characters; IMDb's have some hundreds
FIRST_YEAR, LAST_YEAR = 1850, 2150  # range of plausible years
_LONGEST_CELL = 4_000  # characters that are read of a list of genres
_ABSENT = frozenset(
    ("", "\\n", "nan", "na", "<na>", "nat", "none", "null", "nil", "n/a", "#n/a", "-", "?", "unknown", "(no genres listed)")
)
_FILM = re.compile(r"(?:tt)?([0-9]{1,10})(?:[.,]0*)?")
_FILM_PAGE = re.compile(r"(?:https?://)?[a-z.]*imdb\.com/title/(tt[0-9]{7,10})(?:[/?]\S*)?")
_YEARS = tuple(
    re.compile(pattern, re.ASCII | re.IGNORECASE)
    for pattern in (
        r"(\d{4})(?:[.,]0*)?L?",  # 1999, 1999.0, 1999,0, 1999L
        r"\((\d{4})\)",
        r"(\d{4})[-/]\d{1,2}",
        r"(\d{4})[-/.]\d{1,2}[-/.]\d{1,2}(?:[T ].*)?",  # 1999-01-01 00:00:00
        r"\d{1,2}[-/. ]\d{1,2}[-/. ](\d{4})(?:[T ].*)?",  # 01/05/1999
        r"(\d{4})\s*[-\u2013]\s*(?:\d{4})?",  # 1999-2003: a series, which began in the first year
    )
)
_THOUSANDS = re.compile(r"(\d)[.,' \u00a0\u202f](\d{3})", re.ASCII)  # 1,999
_POWER = re.compile(r"\d(?:[.,]\d+)?e[+]?0*\d", re.ASCII | re.IGNORECASE)  # 1.999E3
_BETWEEN_GENRES = re.compile(r"[,|;/]")
_IN_QUOTES = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_IMDB_NAMES = frozenset(name.lower() for name in IMDB_GENRES)


def is_absent(cell: str) -> bool:
    """Return whether a cell holds one of the marks for an absent value."""
    return unquoted(cell).lower() in _ABSENT


def unquoted(cell: str) -> str:
    """Return a cell without surrounding spaces and one pair of double quotes."""
    cell = cell.strip()
    return cell[1:-1].strip() if len(cell) >= 2 and cell[0] == cell[-1] == '"' else cell


def parse_film_id(cell: str) -> str | None:
    """Return the tconst that a cell names, with "tt" and zeros where they are missing ("114709" is tt0114709), or None."""
    cell = unquoted(cell).lower()
    match = _FILM.fullmatch(cell)
    if match:
        return f"tt{match[1].zfill(7)}"
    page = _FILM_PAGE.fullmatch(cell)
    return page[1] if page else None


def parse_year(cell: str) -> int | None:
    """Return the year that a cell names; None where it is absent.

    Raises:
      ValueError: the cell names no year, or one in which no film can have been made.
    """
    text = unquoted(cell)
    if text.lower() in _ABSENT:
        return None
    if len(text) <= 40:
        match = next((match for match in (pattern.fullmatch(text) for pattern in _YEARS) if match), None)
        year = int(match[1]) if match else _number(text)
        if year is not None and FIRST_YEAR <= year <= LAST_YEAR:
            return year
    raise ValueError(f"no year from {FIRST_YEAR} to {LAST_YEAR}")


def parse_title(cell: str, *, quoted: bool) -> str:
    """Return a title without the quotes that a program put around it.

    Args:
      cell: the cell.
      quoted: whether the program that wrote the file quotes cells. IMDb's file does not, and has titles that begin with a
        quote.
    """
    if len(cell) >= 2 and cell[0] == cell[-1] == '"':
        inner = cell[1:-1]
        if quoted or ('""' in inner and '"' not in inner.replace('""', "")):
            return inner.replace('""', '"')
    return cell


@functools.lru_cache(1 << 14)  # there are a few thousand combinations, and their films share them
def parse_labels(cell: str) -> tuple[tuple[str, ...], bool]:
    """Return the names in a cell as spelled, each once, and whether the cell was clean: a name on both sides of a separator."""
    if is_absent(cell):
        return (), True
    names, clean = _names(unquoted(cell)[:_LONGEST_CELL])
    return tuple(dict.fromkeys(part for name in names for part in _parts(name))), clean


def is_imdb_genre(name: str) -> bool:
    """Return whether IMDb has a genre of this name, case aside."""
    return name.strip().lower() in _IMDB_NAMES


def _number(text: str) -> int | None:
    """Return the whole number of a text with thousands separators or a power of ten; None if it is none."""
    thousands = _THOUSANDS.fullmatch(text)
    if thousands:
        return int(thousands[1] + thousands[2])
    value = float(text.replace(",", ".")) if _POWER.fullmatch(text) else 0.5
    return int(value) if value.is_integer() else None


def _names(cell: str) -> tuple[list[str], bool]:
    """Return the names of a list in any notation, and whether none of them is empty."""
    is_list = cell[:1] in ("[", "(", "{")
    names = _list_items(cell) if is_list else [unquoted(name) for name in _BETWEEN_GENRES.split(cell)]
    named = [name.strip() for name in names if not is_absent(name)]
    return named, len(named) == len(names)


def _list_items(cell: str) -> list[str]:
    """Return the names in a list of JSON, Python or NumPy, whose items may be dicts with the key "name"."""
    value = _literal(cell) if "{" in cell else None
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, list | tuple):
        return [str(item.get("name", "")) if isinstance(item, dict) else str(item) for item in value]
    quoted = [single or double for single, double in _IN_QUOTES.findall(cell)]
    bare = cell.strip("[](){} ")
    return quoted or (_BETWEEN_GENRES.split(bare) if bare else [])


def _literal(cell: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return None


def _parts(name: str) -> list[str]:
    """Split a name into IMDb genres separated by spaces only, which no genre name of IMDb contains."""
    words = name.split()
    return words if len(words) > 1 and all(map(is_imdb_genre, words)) else [name]
