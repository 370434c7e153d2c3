"""Hold the rows of a table, independent of the kind of its file."""

import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from posterfusion_jax.utils.console import sanitize

SAMPLE_ROWS = 1_000  # rows from which columns and notation are detected
_LONGEST_NAME = 200  # characters of a column's name
LONGEST_CELL = 20_000  # characters of a text cell that are kept
_SAMPLE_CHARACTERS = 1 << 24  # of all texts in a sample


class Row(NamedTuple):
    """Hold one row: where it is, for messages ("labels.csv:17"), and its cells, texts or JSON values."""

    place: str
    cells: list[Any]


class BadRow(NamedTuple):
    """Hold a row that cannot be read, and the reason."""

    place: str
    reason: str


class Rows(NamedTuple):
    """Hold a table that can be read again and again.

    Attributes:
      header: names of the columns, each different.
      read: starts at the first row; yields rows as long as the header, and rows that cannot be read.
      how: how the file is read, in words.
      delimiter: between cells, as in `TableColumns`; "" where the format has none.
      encoding: as it was given.
      split_folders: the name of the column that holds the folder of each file; "" for a single file.
      remarks: what reading has shown so far, in words; complete after the last row.
      files: the files that the rows come from, in order.
    """

    header: tuple[str, ...]
    read: Callable[[], Iterator[Row | BadRow]]
    how: tuple[str, ...]
    delimiter: str = ""
    encoding: str = ""
    split_folders: str = ""
    remarks: Callable[[], Sequence[str]] = tuple
    files: tuple[pathlib.Path, ...] = ()

    def sample(self) -> list[Row]:
        """Return the first `SAMPLE_ROWS` rows that can be read, fewer where their cells are long."""
        rows, characters = [], 0
        for row in self.read():
            if isinstance(row, Row):
                rows.append(row)
                characters += sum(len(cell) for cell in row.cells if isinstance(cell, str))
                if len(rows) == SAMPLE_ROWS or characters > _SAMPLE_CHARACTERS:
                    break
        return rows


def list_columns(names: Sequence[str], most: int = 10) -> str:
    """Return the first names of columns, safe to print."""
    return ", ".join(sanitize(name, width=40) for name in names[:most]) + (", ..." if len(names) > most else "")


def distinct_names(names: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """Return names of columns that differ, and a line for each name that is there twice; later ones become "name (2)"."""
    seen: dict[str, int] = {}
    distinct, lines = [], []
    for number, name in enumerate(names, 1):
        plain = name.strip()[:_LONGEST_NAME] or f"column {number}"
        seen[plain] = seen.get(plain, 0) + 1
        if seen[plain] == 2:
            lines.append(f"the column {plain!r} is there twice: the first counts, the second is named '{plain} (2)'")
        distinct.append(plain if seen[plain] == 1 else f"{plain} ({seen[plain]})")
    return tuple(distinct), lines
