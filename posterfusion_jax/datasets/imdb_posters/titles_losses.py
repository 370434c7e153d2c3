"""Count what a titles file loses or changes, and stop where it loses a large share of the films."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.console import sanitize

SHARE, LEAST = 0.2, 5  # a share of the wanted films, and a number of films: reaching both for one reason ends the run
_EXAMPLES = 3
_SHOWN_CELL, _SHOWN_ROW = 60, 120  # characters
_BAD_ID_START = "tconst is no IMDb id"


class Notes:
    """Count cells that were not read literally, by reason, with the first three lines and cells of each."""

    def __init__(self, file_name: str) -> None:
        self._file_name = file_name
        self._notes: dict[str, dict[str, Any]] = {}

    def add(self, reason: str, line: int, cell: str) -> None:
        """Count one cell."""
        note = self._notes.setdefault(reason, {"count": 0, "first": []})
        note["count"] += 1
        if len(note["first"]) < _EXAMPLES:
            note["first"].append([f"{self._file_name}:{line}", cell[:_SHOWN_CELL]])

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Return reason -> {"count", "first"}, in the order of the file."""
        return self._notes


class Losses:
    """Count the rows of wanted films that could not be used.

    Attributes:
      rows: how many.
    """

    def __init__(self, path: pathlib.Path, wanted: int) -> None:
        self._path, self._wanted, self.rows = path, wanted, 0
        self._kinds: dict[str, str] = {}  # film -> the kind of its loss; bounded as skipped lines are
        self._examples: dict[str, list[str]] = {}

    def add(self, film: str, reason: str, line: int, cells: Sequence[str]) -> None:
        """Count the row of one film."""
        self.rows += 1
        kind = "another number of columns than the header has" if " columns instead of " in reason else reason
        self._kinds.setdefault(film, kind)
        examples = self._examples.setdefault(kind, [])
        if len(examples) < _EXAMPLES:
            examples.append(f"line {line}: {sanitize('|'.join(cells), width=_SHOWN_ROW)!r} ({reason})")

    def check(self, titles: Mapping[str, Any], notes: Notes) -> None:
        """Stop if a large share of the wanted films is lost for one reason.

        Raises:
          InputError: with three examples and the way out.
        """
        counts: dict[str, int] = {}
        for film, kind in self._kinds.items():
            if film not in titles:
                counts[kind] = counts.get(kind, 0) + 1
        for kind, count in counts.items():
            if self._is_large(count):
                raise self._too_many(count, kind, self._examples[kind])
        bad = next((note for reason, note in notes.as_json().items() if reason.startswith(_BAD_ID_START)), None)
        found = len(titles)
        if bad is not None and self._is_large(min(bad["count"], self._wanted - found - sum(counts.values()))):
            examples = [f"line {where.rpartition(':')[2]}: tconst {sanitize(cell)!r}" for where, cell in bad["first"]]
            raise self._too_many(self._wanted - found, "no row with their id; other rows have no IMDb id in tconst", examples)

    def _is_large(self, count: int) -> bool:
        return count > 0 and (count == self._wanted or (count >= LEAST and count >= SHARE * self._wanted))

    def _too_many(self, count: int, kind: str, examples: Sequence[str]) -> InputError:
        return InputError(
            f"{str(self._path)!r} cannot be used for {count:,} of the {self._wanted:,} films that have posters: {kind}. "
            f"{'; '.join(examples)}. Write it again with tabs between cells and one row per film, with tconst as in tt0133093 "
            '(pandas: to_csv(path, sep="\\t", index=False); R: write.table(sep="\\t", row.names=FALSE)), or use IMDb\'s own '
            "title.basics.tsv.gz."
        )
