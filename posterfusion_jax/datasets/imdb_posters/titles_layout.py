"""Detect the layout of a titles file from its first lines: separator, columns, quoting."""

import csv
import dataclasses
import re
from collections.abc import Sequence

COLUMNS = ("tconst", "primaryTitle", "startYear", "genres")  # those that are read, of nine
SEPARATORS = ("\t", ",", ";", "|")
_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "vertical bars"}
_FILM = re.compile(r'"?tt[0-9]{7,10}"?')


@dataclasses.dataclass
class Layout:
    """Describe where the cells of a row are.

    Attributes:
      separator: between cells.
      width: cells of a row.
      tconst, title, year, genres: numbers of the columns, from 0.
      quoted: the writer puts cells into double quotes.
      how: what differs from IMDb's own file, in words.
    """

    separator: str
    width: int
    tconst: int
    title: int
    year: int
    genres: int
    quoted: bool
    how: list[str]

    def skip_row_names(self) -> None:
        """Expect each row to begin with a name that the header lacks, as R writes it."""
        self.width, self.how = self.width + 1, [*self.how, "each row begins with a name that the header lacks"]
        self.tconst, self.title, self.year, self.genres = (k + 1 for k in (self.tconst, self.title, self.year, self.genres))

    def has_row_names(self, cells: Sequence[str]) -> bool:
        """Return whether a row has exactly one cell more than the header, in front of the others."""
        if len(cells) != self.width + 1 or "tt" in cells[self.tconst].lower():
            return False
        return _FILM.fullmatch(cells[self.tconst + 1].strip()) is not None


def find_layout(header: str) -> Layout | str:
    """Return the layout that a header line shows, or what is wrong with the line.

    Column names may be in any case, and with spaces, underscores or quotes.
    """
    best: list[str] = []
    for separator in SEPARATORS:
        cells = split_line(header, separator)
        names = [re.sub(r"[^a-z0-9]", "", cell.lower()) for cell in cells]
        missing = [column for column in COLUMNS if names.count(column.lower()) != 1]
        if not missing:
            how = [f"cells are separated by {_NAMES[separator]}"] if separator != "\t" else []
            quoted = header.lstrip().startswith('"')
            where = (names.index(column.lower()) for column in COLUMNS)
            return Layout(separator, len(cells), *where, quoted=quoted or separator != "\t", how=how)
        best = missing if not best or len(missing) < len(best) else best
    shown = "|".join(header.split("\t"))[:200]
    return f"has no column {', '.join(best)}, or more than one, in its first line ({shown!r})"


def split_line(line: str, separator: str) -> list[str]:
    """Return the cells of a line whose cells may be in double quotes."""
    try:
        return next(csv.reader([line], delimiter=separator))
    except (csv.Error, StopIteration):
        return line.split(separator)


def fit_row(cells: list[str], layout: Layout) -> list[str] | None:
    """Return a row with the header's number of cells; None where that is not possible without guessing.

    Empty cells at the end may be too many; cells at the end may be missing, unless one of them is needed.
    """
    extra = cells[layout.width :]
    if len(cells) == layout.width or (extra and not any(cell.strip() for cell in extra)):
        return cells[: layout.width]
    if len(cells) < layout.width and len(cells) > max(layout.tconst, layout.genres):
        return cells + [""] * (layout.width - len(cells))
    return None
