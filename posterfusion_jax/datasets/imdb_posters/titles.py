"""Read IMDb's title.basics.tsv.gz: titles, years and genres of the films that have posters."""

import csv
import io
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from posterfusion_jax.datasets.imdb_posters.title_cells import (
    LONGEST_TITLE,
    is_imdb_genre,
    parse_film_id,
    parse_labels,
    parse_title,
    parse_year,
    unquoted,
)
from posterfusion_jax.datasets.imdb_posters.titles_layout import find_layout, fit_row, split_line
from posterfusion_jax.datasets.imdb_posters.titles_losses import Losses, Notes
from posterfusion_jax.datasets.imdb_posters.titles_path import SOURCE, find_titles
from posterfusion_jax.datasets.sources.base import Entry
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.utils.disk_collections import DiskDict, DiskSet
from posterfusion_jax.utils.packed_files import READ_ERRORS, open_text

__all__ = ["TitleTable", "find_titles", "read_title_table", "read_titles"]

_MAX_LINE = 1 << 20  # bytes; IMDb's longest has about a thousand. A file of zeros, packed, may hold a line of gigabytes
_MAX_SKIPPED = 100_000  # lines; a file with more of them is not a titles file
_AS_PUBLISHED = "unpacked with gzip"
_NO_YEAR = "startYear is no year: the year is unknown, the film is kept"
_LONG_TITLE = f"primaryTitle has over {LONGEST_TITLE:,} characters: the rest is cut off"
_NOT_UTF8 = "not UTF-8: read as Windows-1252"
_NAMELESS = "genres has an entry without a name: the others count"
_SHORT_ID = "tconst without 'tt' or its zeros, or not spelled plainly: completed"
_BAD_ID = "tconst is no IMDb id: the row is not used"


class TitleTable(NamedTuple):
    """Hold what was read from a titles file.

    Attributes:
      titles: tconst -> title, year and genres of the wanted films found.
      skipped: the lines left out ("title.basics.tsv.gz:17"), with the reason.
      notes: cells that were not read literally, reason -> {"count", "first": up to three [line, cell]}.
      how: what differs from IMDb's own file as a whole, in words.
    """

    titles: DiskDict[Entry]
    skipped: list[Skipped]
    notes: dict[str, dict[str, Any]]
    how: list[str]


def read_titles(path: str | pathlib.Path, *, wanted: Iterable[str]) -> tuple[DiskDict[Entry], list[Skipped]]:
    """Return the titles and skipped lines of `read_title_table`."""
    return read_title_table(path, wanted=wanted)[:2]


def read_title_table(path: str | pathlib.Path, *, wanted: Iterable[str]) -> TitleTable:
    """Read the rows of the wanted films, in one pass and with little memory: IMDb's file has 11 million rows.

    Only tconst and genres can cost a film its row. An invalid year becomes unknown, a long title is truncated, and both
    are noted. Cells may be spelled as pandas, Excel and R write them (`title_cells`), and the file may be packed, in another
    encoding (`packed_files`) or with another separator (`titles_layout`).

    Args:
      path: the file, with a header line.
      wanted: the tconsts to keep.

    Returns:
      The films, the lines left out with the reason (a wrong number of columns, a second row of the same film), and notes.

    Raises:
      InputError: the file cannot be read, is cut off, its header lacks a needed column or has it twice, its lines are not
        those of IMDb's file (one of over `_MAX_LINE` bytes, over `_MAX_SKIPPED` of them malformed), or a large share of the
        wanted films is lost for one reason (`titles_losses`).
    """
    reader = _Reader(pathlib.Path(path), wanted)
    try:
        return reader.read()
    except READ_ERRORS as error:
        raise InputError(
            f"{str(path)!r} cannot be read to its end (incomplete?): {error}. Download it again from {SOURCE}."
        ) from error


class _Reader:
    """Read one titles file."""

    def __init__(self, path: pathlib.Path, wanted: Iterable[str]) -> None:
        self._path = path
        self._keys = DiskSet()
        number = sum(self._keys.add(tconst.encode()) for tconst in wanted)
        self._titles = DiskDict(Entry.from_json)
        self._skipped: list[Skipped] = []
        self._notes = Notes(path.name)
        self._losses = Losses(path, number)

    def read(self) -> TitleTable:
        with open_text(self._path) as text:
            lines = _lines(text.file, self._path)
            header = next(lines, (1, b""))[1]
            if header.lower().startswith(b"sep="):  # a hint to Excel
                header = next(lines, (1, b""))[1]
            layout = find_layout(header.decode("utf-8", "replace"))
            if isinstance(layout, str):
                raise _other_file(self._path, layout)
            self._layout = layout
            if layout.separator == "\t":
                self._read_tabs(lines)
            else:
                self._read_csv(lines)
            self._losses.check(self._titles, self._notes)
            how = [step for step in text.how if step != _AS_PUBLISHED]
            return TitleTable(self._titles, self._skipped, self._notes.as_json(), how + layout.how)

    def _read_tabs(self, lines: Iterator[tuple[int, bytes]]) -> None:
        keys, tabs, column = self._keys, self._layout.width - 1, self._layout.tconst
        for number, line in lines:
            if line.count(b"\t") != tabs:
                self._read_odd(number, self._decode(number, line))
                tabs, column = self._layout.width - 1, self._layout.tconst
                continue
            cell = line.split(b"\t", column + 1)[column]
            if cell in keys:
                self._store_row(number, cell.decode(), self._decode(number, line).split("\t"))
            elif not (cell[:2] == b"tt" and len(cell) >= 9 and cell.isalnum()):
                self._process_row(number, self._decode(number, line).split("\t"))

    def _read_odd(self, number: int, line: str) -> None:
        """Read a line with another number of tabs than the header."""
        cells = line.split("\t")
        if not self._losses.rows and not len(self._titles) and self._layout.has_row_names(cells):
            self._layout.skip_row_names()
        if len(cells) > self._layout.width and '"' in line:  # a tab in a cell in quotes
            parsed = split_line(line, "\t")
            if len(parsed) == self._layout.width:
                return self._process_row(number, parsed)
        self._process_row(number, cells)

    def _read_csv(self, lines: Iterator[tuple[int, bytes]]) -> None:
        at = [1]  # the number of the last line that was read

        def decoded() -> Iterator[str]:
            for number, line in lines:
                at[0] = number
                yield self._decode(number, line) + "\n"

        rows = csv.reader(decoded(), delimiter=self._layout.separator)
        while True:
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                self._skip(at[0], f"no row of a table: {error}", None, [])
            else:
                self._process_row(at[0], self._join_genres(cells))

    def _join_genres(self, cells: list[str]) -> list[str]:
        """Return the row with its trailing genre cells joined into one, where their commas made several."""
        last = self._layout.width - 1
        if len(cells) > self._layout.width and last == self._layout.genres and all(map(is_imdb_genre, cells[last:])):
            return [*cells[:last], ",".join(cells[last:])]
        return cells

    def _process_row(self, number: int, cells: list[str]) -> None:
        """Process a row that may be of a wanted film."""
        if not self._losses.rows and not len(self._titles) and self._layout.has_row_names(cells):
            self._layout.skip_row_names()
        fitted = fit_row(cells, self._layout)
        if fitted is None:
            film = next((film for film in map(parse_film_id, cells) if film and film.encode() in self._keys), None)
            return self._skip(number, f"{len(cells)} columns instead of {self._layout.width}", film, cells)
        cell = fitted[self._layout.tconst]
        film = parse_film_id(cell)
        if film is None:
            self._notes.add(_BAD_ID, number, cell)
        elif film.encode() in self._keys:
            if film != unquoted(cell):
                self._notes.add(_SHORT_ID, number, cell)
            self._store_row(number, film, fitted)

    def _store_row(self, number: int, film: str, cells: list[str]) -> None:
        """Store the row of a wanted film."""
        if film in self._titles:
            return self._skip(number, f"a second row of {film}; the first one counts", None, cells)
        layout = self._layout
        if cells[layout.genres].startswith('"'):  # no writer of unquoted cells does that
            layout.quoted = True
        title = parse_title(cells[layout.title], quoted=layout.quoted and layout.separator == "\t")
        if len(title) > LONGEST_TITLE:
            self._notes.add(_LONG_TITLE, number, title)
            title = title[:LONGEST_TITLE]
        try:
            year = parse_year(cells[layout.year])
        except ValueError:
            year = None
            self._notes.add(_NO_YEAR, number, cells[layout.year])
        labels, clean = parse_labels(cells[layout.genres])
        if not clean:
            self._notes.add(_NAMELESS, number, cells[layout.genres])
        self._titles[film] = Entry(title, year, labels)

    def _decode(self, number: int, line: bytes) -> str:
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError as error:
            self._notes.add(_NOT_UTF8, number, line[max(error.start - 20, 0) : error.end + 20].decode("cp1252", "replace"))
            return line.decode("cp1252", "replace")

    def _skip(self, number: int, reason: str, film: str | None, cells: list[str]) -> None:
        if len(self._skipped) > _MAX_SKIPPED:
            raise _other_file(self._path, f"has {len(self._skipped):,} malformed lines up to line {number:,}")
        self._skipped.append(Skipped(f"{self._path.name}:{number}", reason))
        if film is not None:
            self._losses.add(film, reason, number, cells)


def _lines(file: io.BufferedReader, path: pathlib.Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers."""
    read, longest = file.readline, _MAX_LINE
    for number, line in enumerate(iter(lambda: read(longest + 1), b""), 1):
        if len(line) > longest:
            raise _other_file(path, f"has over {longest:,} bytes in line {number:,}")
        stripped = line.rstrip(b"\r\n")
        if stripped:
            yield number, stripped


def _other_file(path: pathlib.Path, fault: str) -> InputError:
    return InputError(f"{str(path)!r} {fault}. It must be IMDb's title.basics file, as {SOURCE} publishes it.")
