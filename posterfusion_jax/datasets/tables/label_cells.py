"""Parse cells of labels in any notation: a list of JSON or Python, or names with a separator between them."""

import ast
import functools
import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from posterfusion_jax.datasets.tables.rows import LONGEST_CELL

LIST = "list"
SEPARATORS = ("|", ";", ",", "/")
NOTATIONS = (LIST, *SEPARATORS)
_PLACEHOLDERS = frozenset(
    (
        "",
        "n/a",
        "na",
        "nan",
        "null",
        "none",
        "nil",
        "-",
        "--",
        "?",
        "\\n",
        "unknown",
        "(no genres listed)",
        "no genres listed",
        "[]",
    )
)
_NAME_KEYS = ("name", "label", "genre", "title", "value")  # of an object that stands for a label
_LONGEST_LABEL = 200  # characters
_LONGEST_CACHED = 500  # characters of a cell
_ADJACENT = re.compile(r"(?<!\\)['\"]\s+['\"]")  # 'Comedy' 'Drama', as NumPy writes lists; Python would join the two
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")


class Labels(NamedTuple):
    """Hold the labels of a cell.

    Attributes:
      names: as spelled, each once.
      placeholders: how many the cell had, such as N/A.
      cut: whether the cell or one of its labels is too long and was not read to its end.
    """

    names: tuple[str, ...]
    placeholders: int
    cut: bool = False


def replace_surrogates(text: str) -> str:
    """Return a text with a question mark for every half of a surrogate pair, which no file can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def is_placeholder(value: Any) -> bool:
    """Return whether a value stands for no label."""
    return value is None or value != value or str(value).strip().lower() in _PLACEHOLDERS


def detect_notation(cells: Sequence[Any]) -> str:
    """Return one of `NOTATIONS`, by a majority of the cells that have more than one label; "" where none has."""
    votes: Counter[str] = Counter()
    for cell in cells:
        if isinstance(cell, list | tuple):
            votes[LIST] += 1
        elif isinstance(cell, str) and not is_placeholder(cell):
            if _list_values(cell[:LONGEST_CELL].strip()) is not None:
                votes[LIST] += 1
            else:
                votes.update(separator for separator in SEPARATORS if separator in cell)
    if not votes:
        return ""
    return max(NOTATIONS, key=lambda notation: (votes[notation], -NOTATIONS.index(notation)))


def parse_labels(cell: Any, notation: str) -> Labels:
    """Return the labels of a cell.

    Args:
      cell: a text, or a value of JSON: a list of texts or of objects with a name, one object, a number.
      notation: one of `NOTATIONS`, or "" for one label in each cell. A list is recognized in any case.
    """
    if isinstance(cell, str):
        return _parse_cached(cell, notation) if len(cell) <= _LONGEST_CACHED else _parse_text(cell, notation)
    return _distinct(_items(cell))


def _parse_text(cell: str, notation: str) -> Labels:
    text, cut = cell[:LONGEST_CELL].strip(), len(cell) >= LONGEST_CELL
    if is_placeholder(text):
        return Labels((), 1)
    values = _list_values(text)
    if values is None:
        values = text.split(notation) if notation in SEPARATORS else [text]
        if cut and len(values) > 1:
            values.pop()  # it is incomplete
    found = _distinct(values)
    return found._replace(cut=True) if cut else found


_parse_cached = functools.lru_cache(1 << 14)(_parse_text)


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [next((value[key] for key in _NAME_KEYS if key in value), None)]
    if isinstance(value, list | tuple | set):
        return [name for item in value for name in _items(item)]
    return [value]


def _distinct(values: Sequence[Any]) -> Labels:
    names: dict[str, None] = {}
    placeholders, cut = 0, False
    for value in values:
        if is_placeholder(value):
            placeholders += 1
        else:
            name = str(value).strip().strip("\"'").strip()
            cut = cut or len(name) > _LONGEST_LABEL
            names[replace_surrogates(name[:_LONGEST_LABEL])] = None
    return Labels(tuple(name for name in names if name), placeholders, cut)


def _list_values(text: str) -> list[Any] | None:
    """Return the values of a cell that holds a list of JSON, Python or NumPy; None where it holds none."""
    if text[:1] not in ("[", "(", "{"):
        return None
    if text[0] == "[" and _ADJACENT.search(text):
        return [single or double for single, double in _QUOTED.findall(text)]
    value = _literal(text)
    if value is not None:
        return _items(value)
    if text[0] != "[" or (text[-1] != "]" and len(text) < LONGEST_CELL - 1):
        return None
    quoted = [single or double for single, double in _QUOTED.findall(text)]
    return quoted or [name.strip() for name in text.strip("[]").split(",")]


def _literal(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(value, list | tuple | dict | set):
            return value
    return None
