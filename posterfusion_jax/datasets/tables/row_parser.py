"""Parse a row of a table: its ids, its group, and what is known of the poster."""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from posterfusion_jax.datasets.imdb_posters.title_cells import parse_year
from posterfusion_jax.datasets.sources.base import Entry
from posterfusion_jax.datasets.tables.columns import FALSE, SPLIT_OF, TRUE, Roles
from posterfusion_jax.datasets.tables.label_cells import is_placeholder, parse_labels
from posterfusion_jax.datasets.tables.rows import LONGEST_CELL, Row

_TITLE_YEAR = re.compile(r"(.*\S)\s*\((\d{4})(?:[-\u2013]\d{0,4})?\)")
_LONGEST_GROUP, _LONGEST_TITLE = 200, 1_000  # characters
_NO_YEAR = "is no year: the year is unknown"
_NO_SPLIT = "is none of train, validation, test: the row is in no split"
_NO_FLAG = "is neither 0 nor 1: taken for 0"
_PLACEHOLDER = "stands for no label"
_CUT = f"has {LONGEST_CELL:,} characters or more: the rest is not read"
_CUT_LABEL = "has a label of over 200 characters: the rest is not read"
_CUT_TITLE = f"has over {_LONGEST_TITLE:,} characters: the rest is not read"
_NO_TITLE = frozenset(("", "nan", "\\n", "n/a", "null", "#n/a"))  # "None" and "Unknown" are titles of films

_year_of = functools.lru_cache(1 << 12)(parse_year)


class ParsedRow(NamedTuple):
    """Hold a row.

    Attributes:
      ids: values that may name a picture, the own id first.
      group: value of the group's column; "" where there is none.
      entry: title, year, labels, split and words.
    """

    ids: list[str]
    group: str
    entry: Entry


class RowParser:
    """Parse rows of one table.

    Attributes:
      notes: cells that were not read literally: reason -> {"count", "first": up to three [place, cell]}.
    """

    def __init__(self, header: Sequence[str], roles: Roles):
        """Take the columns of the table and their meaning."""
        self._place = {name: number for number, name in enumerate(header)}
        self._roles = roles
        self.notes: dict[str, dict[str, Any]] = {}

    def parse(self, row: Row, more_labels: Mapping[str, tuple[str, ...]] | None = None, key: str = "") -> ParsedRow:
        """Return the parsed row.

        Args:
          row: of the table.
          more_labels: id -> labels, where they are in a table of their own.
          key: the column with these ids.
        """
        roles = self._roles
        title, year = self._title_and_year(row)
        labels = self._labels(row) if more_labels is None else more_labels.get(self.text(row, key), ())
        words = self.text(row, roles.text)
        if len(words) >= LONGEST_CELL:
            self._note(roles.text, _CUT, row, words)
        group = self.text(row, roles.group)[:_LONGEST_GROUP]
        if not group and title and not roles.group:
            plain = " ".join(title.split()).casefold()
            group = (f"{plain} ({year})" if year else plain)[:_LONGEST_GROUP]
        return ParsedRow(
            [text for name in roles.ids if (text := self.text(row, name))],
            group,
            Entry(title, year, labels, self._split(row), words or None),
        )

    def key(self, cell: object) -> str:
        """Return an id as it is compared between tables."""
        return "" if is_placeholder(cell) else str(cell).strip()

    def text(self, row: Row, column: str) -> str:
        """Return the text of a cell, "" where it is a placeholder or there is no such column."""
        if not column:
            return ""
        cell = row.cells[self._place[column]]
        return "" if is_placeholder(cell) else str(cell).strip()

    def _title_and_year(self, row: Row) -> tuple[str, int | None]:
        title = str(row.cells[self._place[self._roles.title]]).strip() if self._roles.title else ""
        if title.lower() in _NO_TITLE or title == "None":
            title = ""
        if len(title) > _LONGEST_TITLE:
            self._note(self._roles.title, _CUT_TITLE, row, title)
            title = title[:_LONGEST_TITLE]
        cell = self.text(row, self._roles.year)
        year = None
        if cell:
            try:
                year = _year_of(cell)
            except ValueError:
                self._note(self._roles.year, _NO_YEAR, row, cell)
        match = _TITLE_YEAR.fullmatch(title) if title[-1:] == ")" else None
        if match and year in (None, int(match[2])):
            return match[1], int(match[2])
        return title, year

    def _labels(self, row: Row) -> tuple[str, ...]:
        roles = self._roles
        if not roles.labels:
            found = []
            for name in roles.indicators:
                cell = str(row.cells[self._place[name]]).strip().lower()
                if cell in TRUE[:3]:
                    found.append(name)
                elif cell not in FALSE[:3] and not is_placeholder(cell):
                    self._note(name, _NO_FLAG, row, cell)
            for name in found:
                if is_placeholder(name):
                    self._note(name, _PLACEHOLDER, row, name)
            return tuple(name for name in found if not is_placeholder(name))
        cell = row.cells[self._place[roles.labels]]
        labels, placeholders, cut = parse_labels(cell, roles.notation)
        if placeholders:
            self._note(roles.labels, _PLACEHOLDER, row, cell)
        if cut:
            self._note(roles.labels, _CUT if isinstance(cell, str) and len(cell) >= LONGEST_CELL else _CUT_LABEL, row, cell)
        return labels

    def _split(self, row: Row) -> str:
        cell = self.text(row, self._roles.split)
        split = SPLIT_OF.get(cell.lower().split("/")[-1], "")
        if cell and not split:
            self._note(self._roles.split, _NO_SPLIT, row, cell)
        return split

    def _note(self, column: str, reason: str, row: Row, cell: object) -> None:
        note = self.notes.setdefault(f"column {column!r} {reason}", {"count": 0, "first": []})
        note["count"] += 1
        if len(note["first"]) < 3:
            note["first"].append([row.place, str(cell)[:60]])
