"""Parse lines into rows of cells, and recover the rows that a quote without an end has taken into its cell."""

import csv
from collections import deque
from collections.abc import Iterator

from posterfusion_jax.datasets.tables.rows import BadRow, Row

DELIMITERS = {",": ",", "tab": "\t", ";": ";", "|": "|", "::": "::"}  # as in `TableColumns.delimiter` -> the text itself
_MOST_RECOVERIES = 1_000  # per reading: each parses up to 131,072 characters, the longest cell of Python's csv, a second time
_NO_END = "a quote has no end"


def parse_lines(lines: Iterator[tuple[int, str]], delimiter: str, name: str, *, width: int = 0) -> Iterator[Row | BadRow]:
    """Yield the rows that are not blank, with cells as texts.

    Where a quote has no end, its row is bad, and the lines after it are parsed again.

    Args:
      lines: (number, line with its end).
      delimiter: a key of `DELIMITERS`. "::" knows no quotes.
      name: of the file, for the places of rows.
      width: number of columns, 0 where it is not known. A row of several lines has a quote without an end if text follows the
        quote that ends a cell, or if it has another number of cells and one of its lines is a row by itself.
    """
    if delimiter == "::":
        for number, line in lines:
            if line.strip():
                yield Row(f"{name}:{number}", line.rstrip("\r\n").split("::"))
        return
    yield from _Parser(lines, DELIMITERS[delimiter], name, width).parse()


class _Parser:
    """Parse the lines of one file with Python's csv.

    `_taken` are the lines of the current row, `_again` those to be parsed again.
    """

    def __init__(self, lines: Iterator[tuple[int, str]], delimiter: str, name: str, width: int):
        self._lines, self._delimiter, self._name, self._width = lines, delimiter, name, width
        self._taken: list[tuple[int, str]] = []
        self._again: deque[tuple[int, str]] = deque()
        self._ended = False
        self._recoveries = 0

    def parse(self) -> Iterator[Row | BadRow]:
        rows = csv.reader(self._feed(), delimiter=self._delimiter)
        taken, name = self._taken, self._name
        while True:
            taken.clear()
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield self._recover(_NO_END if len(taken) > 1 else f"no row of a table: {error}")
                continue
            if self._ended:  # the row was not complete when the lines ended
                yield self._recover(_NO_END)
                if not self._again:
                    return
                self._ended = False
                rows = csv.reader(self._feed(), delimiter=self._delimiter)
            elif len(taken) > 1 and (self._holds_row(taken, cells) or self._has_text_after_quote(taken)):
                yield self._recover(_NO_END)
            elif any(map(str.strip, cells)):
                yield Row(f"{name}:{taken[-1][0]}", cells)

    def _feed(self) -> Iterator[str]:
        take = self._taken.append
        while self._again:
            take(line := self._again.popleft())
            yield line[1]
        for line in self._lines:
            take(line)
            yield line[1]
            while self._again:
                take(line := self._again.popleft())
                yield line[1]
        self._ended = True

    def _recover(self, reason: str) -> BadRow:
        """Return the bad row, and let the lines after its first be parsed again."""
        first, last = self._taken[0][0], self._taken[-1][0]
        if len(self._taken) > 1 and self._recoveries < _MOST_RECOVERIES:
            self._recoveries += 1
            self._again.extendleft(reversed(self._taken[1:]))
        elif last > first:
            reason += f"; the lines up to {last:,} are not read"
        return BadRow(f"{self._name}:{first}", reason)

    def _has_text_after_quote(self, lines: list[tuple[int, str]]) -> bool:
        """Return whether a quote that ends a cell has further text after it, as where it begins another cell in fact."""
        try:
            list(csv.reader((line for _, line in lines), delimiter=self._delimiter, strict=True))
        except csv.Error:
            return True
        return False

    def _holds_row(self, lines: list[tuple[int, str]], cells: list[str]) -> bool:
        """Return whether the row has the wrong number of cells, and one of its lines after the first the right one."""
        if not self._width or len(cells) == self._width:
            return False
        for _, line in lines[1:]:
            cells = next(csv.reader([line], delimiter=self._delimiter), [])
            if len(cells) == self._width > 1:
                return True
        return False
