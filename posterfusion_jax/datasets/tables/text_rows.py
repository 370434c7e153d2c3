"""Read delimited text: CSV, TSV and others, with the delimiter found out."""

import codecs
import itertools
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from posterfusion_jax.datasets.tables.csv_parser import DELIMITERS, parse_lines
from posterfusion_jax.datasets.tables.rows import LONGEST_CELL, SAMPLE_ROWS, BadRow, Row, Rows, distinct_names
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.packed_files import READ_ERRORS, open_text

_MAX_LINE = 1 << 24  # bytes
_HEAD_CHARACTERS = 1 << 24  # of the lines from which the delimiter is detected
_MOST_COLUMNS = 20_000
_NUMBER = re.compile(r"\s*-?\d+(\.\d+)?\s*")
_HINT = re.compile(r"\"?sep=(.)\"?\s*", re.IGNORECASE)  # Excel's first line
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
    lines = _Lines(path, encoding)
    head = _read_head(lines)
    hint = _HINT.fullmatch(head[0]) if head else None
    head = head[1:] if hint else head
    if not any(map(str.strip, head)):
        found = "holds nothing but NUL characters" if lines.remarks() else "is empty"
        raise InputError(f"data.table={str(path)!r} {found}. Give a file with a line of column names and a line per poster.")
    delimiter = delimiter or _detect_delimiter(head)
    first = next(parse_lines(enumerate(head, 1), delimiter, path.name))
    if isinstance(first, BadRow):
        raise InputError(f"data.table={str(path)!r}: the line of column names cannot be read ({first.reason}). Correct it.")
    names = first.cells
    if len(names) > _MOST_COLUMNS:
        raise InputError(
            f"data.table={str(path)!r} has {len(names):,} columns, and {_MOST_COLUMNS:,} are allowed: it is no table."
        )
    named = not _is_data(names, head, delimiter)
    header, doubled = distinct_names(names if named else [""] * len(names))
    how = [f"{path.name}: cells separated by {delimiter!r}" + "".join(f", {step}" for step in lines.how)]
    if not named:
        how.append(f"no line of column names: the columns are named {header[0]!r} to {header[-1]!r}")

    def read() -> Iterator[Row | BadRow]:
        rows = parse_lines(lines.read(), delimiter, path.name, width=len(header))
        for _ in range(bool(hint) + named):
            next(rows, None)
        for row in rows:
            yield _fit(row, len(header))

    return Rows(header, read, (*how, *doubled), delimiter, encoding, remarks=lines.remarks, files=(path,))


class _Lines:
    """Read the lines of a file as text, again and again."""

    def __init__(self, path: pathlib.Path, encoding: str):
        self._path, self.how = path, ()
        self._other_encoding = self._zero_bytes = 0  # lines
        try:
            self._encoding = codecs.lookup(encoding or "utf-8").name
        except LookupError as error:
            raise InputError(
                f"data.table_columns.encoding={encoding!r} is no encoding that Python knows. Give one such as utf-8 or "
                "latin-1, or leave it empty."
            ) from error
        self._is_default = not encoding

    def read(self) -> Iterator[tuple[int, str]]:
        """Yield (number, line with its end). Raises InputError where the file cannot be read."""
        self._other_encoding = self._zero_bytes = 0
        try:
            with open_text(self._path) as text:
                self.how = text.how
                encoding = "utf-8" if any("converted" in step for step in text.how) else self._encoding
                for number, line in enumerate(iter(lambda: text.file.readline(_MAX_LINE + 1), b""), 1):
                    if len(line) > _MAX_LINE:
                        raise InputError(
                            f"data.table={str(self._path)!r} has over {_MAX_LINE:,} bytes in line {number:,}: it is no table."
                        )
                    if b"\0" in line:
                        self._zero_bytes += 1
                        line = line.replace(b"\0", b"")
                    yield number, self._decode(line, encoding, number)
        except READ_ERRORS as error:
            raise InputError(
                f"data.table={str(self._path)!r} cannot be read to its end: {error}. Is it complete, and the right file?"
            ) from error

    def remarks(self) -> Sequence[str]:
        """Return what the latest reading has shown."""
        found = {
            "some text is not UTF-8 and is read as Windows-1252 (latin-1)": self._other_encoding,
            "NUL characters are left out": self._zero_bytes,
        }
        return [what for what, lines in found.items() if lines]

    def _decode(self, line: bytes, encoding: str, number: int) -> str:
        try:
            return line.decode(encoding)
        except UnicodeDecodeError as error:
            if not self._is_default:
                raise InputError(
                    f"data.table={str(self._path)!r} is no {encoding} in line {number:,} ({error.reason}). Name another "
                    "data.table_columns.encoding, such as latin-1, or leave it empty."
                ) from error
            self._other_encoding += 1
            return line.decode(encoding, _FALLBACK)


def _read_head(lines: _Lines) -> list[str]:
    """Return the first lines, without blank ones before them."""
    head, characters = [], 0
    for line in itertools.dropwhile(lambda line: not line.strip(), (line for _, line in lines.read())):
        head.append(line)
        characters += len(line)
        if len(head) == SAMPLE_ROWS or characters > _HEAD_CHARACTERS:
            break
    return head


def _detect_delimiter(lines: list[str]) -> str:
    """Return the delimiter that gives most rows as many cells as the first line, at least two; of equal ones the first."""
    best, best_score = ",", (0.0, 0)
    for name in DELIMITERS:
        widths = [len(row.cells) if isinstance(row, Row) else 0 for row in parse_lines(enumerate(lines, 1), name, "")]
        width = widths[0] if widths else 0
        score = (round(widths.count(width) / len(widths), 2), width) if width > 1 else (0.0, 0)
        if score[0] > best_score[0] + 0.05 or (score[0] > best_score[0] - 0.05 and score[1] > best_score[1] and name == "::"):
            best, best_score = name, score
    return best


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
    second = next(itertools.islice(parse_lines(enumerate(lines, 1), delimiter, ""), 1, None), None)
    return isinstance(second, Row) and any(_NUMBER.fullmatch(cell) or cell.startswith("tt") for cell in second.cells[:1])
