"""Read delimited text: CSV, TSV and others, with the delimiter found out."""

import codecs
import csv
import itertools
import pathlib
import re
from collections.abc import Iterator
from typing import Any

from posterfusion_jax.datasets.tables.rows import LONGEST_CELL, SAMPLE_ROWS, BadRow, Row, Rows, distinct_names
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.packed_files import READ_ERRORS, open_text

DELIMITERS = {",": ",", "tab": "\t", ";": ";", "|": "|", "::": "::"}  # as in `TableColumns.delimiter` -> the text itself
_MAX_LINE = 1 << 24  # bytes
_NUMBER = re.compile(r"\s*-?\d+(\.\d+)?\s*")
_FALLBACK = "posterfusion_cp1252"


def _read_as_cp1252(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_FALLBACK, _read_as_cp1252)


def open_text_rows(path: pathlib.Path, *, delimiter: str = "", encoding: str = "") -> Rows:
    """Open a table of delimited text.

    Args:
      path: the file; it may be packed (`utils.packed_files`).
      delimiter: a key of `DELIMITERS`; "": the one that gives the most rows the same number of cells.
      encoding: of a file without a byte order mark; "": UTF-8, with Windows-1252 for what is none.

    Raises:
      InputError: the file cannot be read, holds no row, or an argument is not allowed.
    """
    if delimiter and delimiter not in DELIMITERS:
        raise InputError(f"data.table_columns.delimiter={delimiter!r}: allowed are {', '.join(DELIMITERS)}.")
    lines, how = _Lines(path, encoding), []
    filled = itertools.dropwhile(lambda line: not line.strip(), (line for _, line in lines.read()))
    head = list(itertools.islice(filled, SAMPLE_ROWS))
    if not head:
        raise InputError(f"data.table={str(path)!r} is empty. Give a file with a line of column names and a line per poster.")
    delimiter = delimiter or _detect_delimiter(head)
    first = next(_parse(iter(enumerate(head, 1)), delimiter, path))
    if isinstance(first, BadRow):
        raise InputError(f"data.table={str(path)!r} has no line of column names: {first.reason}.")
    names = first.cells
    named = not _is_data(names, head, delimiter)
    header, doubled = distinct_names(names if named else [""] * len(names))
    how.append(f"{path.name}: cells separated by {delimiter!r}" + "".join(f", {step}" for step in lines.how))
    if lines.other_encoding:
        how.append("some text is not UTF-8 and is read as Windows-1252 (latin-1)")
    if lines.has_nul:
        how.append("NUL characters are left out")
    if not named:
        how.append(f"no line of column names: the columns are named {header[0]!r} to {header[-1]!r}")

    def read() -> Iterator[Row | BadRow]:
        rows = _parse(lines.read(), delimiter, path)
        if named:
            next(rows, None)
        for row in rows:
            yield _fit(row, len(header))

    return Rows(header, read, (*how, *doubled), delimiter, encoding)


class _Lines:
    """Read the lines of a file as text, again and again."""

    def __init__(self, path: pathlib.Path, encoding: str):
        self._path, self.how, self.other_encoding, self.has_nul = path, (), False, False
        try:
            self._encoding = codecs.lookup(encoding or "utf-8").name
        except LookupError as error:
            raise InputError(
                f"data.table_columns.encoding={encoding!r} is no encoding that Python knows, such as utf-8 or "
                "latin-1. Leave it empty to detect it."
            ) from error
        self._is_default = not encoding

    def read(self) -> Iterator[tuple[int, str]]:
        """Yield (number, line with its end). Raises InputError where the file cannot be read."""
        try:
            with open_text(self._path) as text:
                self.how = text.how
                encoding = "utf-8" if any("converted" in step for step in text.how) else self._encoding
                for number, line in enumerate(iter(lambda: text.file.readline(_MAX_LINE + 1), b""), 1):
                    if len(line) > _MAX_LINE:
                        raise InputError(
                            f"data.table={str(self._path)!r} has over {_MAX_LINE:,} bytes in line {number:,}: it is no table."
                        )
                    decoded = self._decode(line, encoding, number)
                    if "\0" in decoded:
                        self.has_nul, decoded = True, decoded.replace("\0", "")
                    yield number, decoded
        except READ_ERRORS as error:
            raise InputError(
                f"data.table={str(self._path)!r} cannot be read to its end: {error}. Is it complete, and the right file?"
            ) from error

    def _decode(self, line: bytes, encoding: str, number: int) -> str:
        try:
            return line.decode(encoding)
        except UnicodeDecodeError as error:
            if not self._is_default:
                raise InputError(
                    f"data.table={str(self._path)!r} is no {encoding} in line {number:,} ({error.reason}). Name another "
                    "data.table_columns.encoding, such as latin-1, or leave it empty."
                ) from error
            self.other_encoding = True
            return line.decode(encoding, _FALLBACK)


def _detect_delimiter(lines: list[str]) -> str:
    """Return the delimiter that gives most rows as many cells as the first line, at least two; of equal ones the first."""
    best, best_score = ",", (0.0, 0)
    for name in DELIMITERS:
        widths = [
            len(row.cells) if isinstance(row, Row) else 0 for row in _parse(iter(enumerate(lines, 1)), name, pathlib.Path())
        ]
        width = widths[0] if widths else 0
        score = (round(widths.count(width) / len(widths), 2), width) if width > 1 else (0.0, 0)
        if score[0] > best_score[0] + 0.05 or (score[0] > best_score[0] - 0.05 and score[1] > best_score[1] and name == "::"):
            best, best_score = name, score
    return best


def _parse(lines: Iterator[tuple[int, str]], delimiter: str, path: pathlib.Path) -> Iterator[Row | BadRow]:
    """Yield the rows that are not blank, with cells as texts."""
    if delimiter == "::":
        for number, line in lines:
            if line.strip():
                yield Row(f"{path.name}:{number}", line.rstrip("\r\n").split("::"))
        return
    at = 0

    def texts() -> Iterator[str]:
        nonlocal at
        for number, line in lines:
            at = number
            yield line

    rows = csv.reader(texts(), delimiter=DELIMITERS[delimiter])
    while True:
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRow(f"{path.name}:{at}", f"no row of a table: {error}")
        else:
            if any(map(str.strip, cells)):
                yield Row(f"{path.name}:{at}", cells)


def _fit(row: Row | BadRow, width: int) -> Row | BadRow:
    """Return the row if it has `width` cells; empty ones at its end do not count."""
    if isinstance(row, BadRow):
        return row
    cells: list[Any] = row.cells
    while len(cells) > width and not cells[-1].strip():
        cells.pop()
    if len(cells) != width:
        return BadRow(row.place, f"{len(cells)} cells, and {width} columns")
    if any(len(cell) > LONGEST_CELL for cell in cells):
        cells = [cell[:LONGEST_CELL] for cell in cells]
    return Row(row.place, cells)


def _is_data(names: list[str], lines: list[str], delimiter: str) -> bool:
    """Return whether the first row holds data: a number or an id where all following rows have one, too."""
    if not names or not (_NUMBER.fullmatch(names[0]) or re.fullmatch(r"tt\d{5,}", names[0].strip())):
        return False
    second = next(itertools.islice(_parse(iter(enumerate(lines, 1)), delimiter, pathlib.Path()), 1, None), None)
    return isinstance(second, Row) and any(_NUMBER.fullmatch(cell) or cell.startswith("tt") for cell in second.cells[:1])
