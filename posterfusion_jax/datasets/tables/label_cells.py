"""Parse cells of labels in any notation: a list of JSON or Python, or names with a separator between them."""

import ast
import functools
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

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
LONGEST_LABELS = 4_000  # characters that are read of a cell of labels
_CACHED = 200  # characters of the longest cell whose labels are kept in memory
_LONGEST_LABEL = 200


class Labels(NamedTuple):
    """Hold the labels of a cell as spelled, each once, and how many placeholders, such as N/A, it had."""

    names: tuple[str, ...]
    placeholders: int


def replace_surrogates(text: str) -> str:
    """Return a text with a question mark for every half of a surrogate pair, which no file can hold."""
    return text.encode("utf-8", "replace").decode()


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
            if cell.lstrip()[:1] in ("[", "(", "{") and _literal(cell.strip()[:LONGEST_LABELS]) is not None:
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
        if len(cell) > LONGEST_LABELS:
            return _parse_long(cell[:LONGEST_LABELS], notation)
        return _parse_text(cell, notation) if len(cell) <= _CACHED else _parse_text.__wrapped__(cell, notation)
    return _distinct(_items(cell))


@functools.lru_cache(1 << 14)
def _parse_text(cell: str, notation: str) -> Labels:
    text = cell.strip()
    if is_placeholder(text):
        return Labels((), 1)
    if text[:1] in ("[", "(", "{"):
        value = _literal(text)
        if value is not None:
            return _distinct(_items(value))
    return _distinct(text.split(notation) if notation in SEPARATORS else [text])


def _parse_long(start: str, notation: str) -> Labels:
    """Return the labels of the beginning of a cell, without the one that is cut; a list without its end has none."""
    if start.lstrip()[:1] in ("[", "(", "{"):
        return Labels((), 0)
    return _distinct(start.split(notation)[:-1] or [start] if notation in SEPARATORS else [start])


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [next((value[key] for key in _NAME_KEYS if key in value), None)]
    if isinstance(value, list | tuple | set):
        return [name for item in value for name in _items(item)]
    return [value]


def _distinct(values: Sequence[Any]) -> Labels:
    names: dict[str, None] = {}
    placeholders = 0
    for value in values:
        if is_placeholder(value):
            placeholders += 1
        else:
            name = str(value).strip().strip("\"'").strip()[:_LONGEST_LABEL]
            names[name if name.isascii() else replace_surrogates(name)] = None
    return Labels(tuple(name for name in names if name), placeholders)


def _literal(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(value, list | tuple | dict | set):
            return value
    return None
