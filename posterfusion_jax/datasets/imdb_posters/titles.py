"""IMDb's title.basics.tsv.gz: titles, years and genres of the films that have posters here."""

import functools
import gzip
import io
import pathlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from posterfusion_jax import genres as genre_names
from posterfusion_jax.errors import InputError
from posterfusion_jax.on_disk import DiskDict, DiskSet
from posterfusion_jax.poster_folder import TITLES_FILE, Skipped

SOURCE = "https://developer.imdb.com/non-commercial-datasets/"
_COLUMNS = ("tconst", "primaryTitle", "startYear", "genres")  # those that we read, of nine
_NONE = "\\N"  # IMDb's mark for an absent value
_LONGEST_TITLE = 1_000  # characters; IMDb's have some hundreds
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_LINE = 1 << 20  # bytes; IMDb's longest has about a thousand. A file of zeros, packed, may hold a line of gigabytes
_MAX_SKIPPED = 100_000  # lines; a file with more of them is another one


class Title(NamedTuple):
    """One film. `genres` are those among the thirteen, in the order of `GENRES`; `other_genres` as IMDb spells them."""

    tconst: str
    title: str
    year: int | None
    genres: tuple[str, ...]
    other_genres: tuple[str, ...]

    @classmethod
    def from_json(cls, values: Sequence[Any]) -> "Title":
        """The film whose JSON value is `values`."""
        tconst, title, year, genres, other_genres = values
        return cls(tconst, title, year, tuple(genres), tuple(other_genres))


def find_titles(posters_dir: str | pathlib.Path) -> pathlib.Path:
    """The titles file of a poster folder: title.basics.tsv.gz, or the same unpacked. Raises InputError if absent."""
    packed = pathlib.Path(posters_dir) / TITLES_FILE
    for path in (packed, packed.with_suffix("")):
        if path.is_file():
            return path
    raise InputError(
        f"data.posters_dir={str(posters_dir)!r} has no {TITLES_FILE} (nor {packed.stem}). Download it from {SOURCE} "
        "and put it there as it is; data/README.md shows the layout."
    )


def read_titles(path: str | pathlib.Path, *, wanted: Iterable[str]) -> tuple[DiskDict[Title], list[Skipped]]:
    """Reads the rows of the wanted films, in one pass and in little memory: IMDb's file has 11 million rows.

    Args:
      path: the file, packed with gzip or plain; UTF-8, tab-separated, no quoting, a header line.
      wanted: the tconsts to keep.

    Returns:
      tconst -> Title for the wanted films found, and the lines left out ("title.basics.tsv.gz:17") with the reason: a
      wrong number of columns, no UTF-8, a startYear that is no year, an endless title, a genre without a name, a second row of
      the same film.

    Raises:
      InputError: the file cannot be read, is cut off, its header lacks a needed column or has it twice, or its lines are not
        those of IMDb's file: one of over `_MAX_LINE` bytes, or over `_MAX_SKIPPED` of them malformed.
    """
    path = pathlib.Path(path)
    keys = DiskSet(tconst.encode() for tconst in wanted)
    titles = DiskDict(Title.from_json)
    skipped = []
    try:
        with _open(path) as file:
            lines = _lines(file, path)
            header = next(lines, (1, b""))[1].decode("utf-8", "replace").split("\t")
            missing = [column for column in _COLUMNS if header.count(column) != 1]
            if missing:
                raise _other_file(
                    path,
                    f"has no column {', '.join(missing)}, or more than one, in its first line ({'|'.join(header)[:200]!r})",
                )
            columns = [header.index(column) for column in _COLUMNS]
            tconst_column = columns[0]
            for number, line in lines:
                if len(skipped) > _MAX_SKIPPED:
                    raise _other_file(path, f"has {len(skipped):,} malformed lines up to line {number:,}")
                where = f"{path.name}:{number}"
                width = line.count(b"\t") + 1
                if width != len(header):
                    skipped.append(Skipped(where, f"{width} columns instead of {len(header)}"))
                elif line.split(b"\t", tconst_column + 1)[tconst_column] in keys:
                    try:
                        title = _parse(line, columns)
                    except ValueError as error:
                        skipped.append(Skipped(where, str(error)))
                        continue
                    if title.tconst in titles:
                        skipped.append(Skipped(where, f"a second row of {title.tconst}; the first one counts"))
                    else:
                        titles[title.tconst] = title
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{str(path)!r} cannot be read to its end (incomplete?): {error}. Download it again from {SOURCE}."
        ) from error
    return titles, skipped


def _open(path: pathlib.Path) -> gzip.GzipFile | io.BufferedReader:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
    return gzip.open(path, "rb") if packed else path.open("rb")


def _lines(file: gzip.GzipFile | io.BufferedReader, path: pathlib.Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, and their numbers."""
    for number, line in enumerate(iter(lambda: file.readline(_MAX_LINE + 1), b""), 1):
        if len(line) > _MAX_LINE:
            raise _other_file(path, f"has over {_MAX_LINE:,} bytes in line {number:,}")
        stripped = line.rstrip(b"\r\n")
        if stripped:
            yield number, stripped


def _other_file(path: pathlib.Path, fault: str) -> InputError:
    return InputError(f"{str(path)!r} {fault}. It must be IMDb's title.basics file, as {SOURCE} publishes it.")


def _parse(line: bytes, columns: list[int]) -> Title:
    try:
        cells = line.decode("utf-8").split("\t")
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    tconst, title, year, spellings = (cells[column] for column in columns)
    if len(title) > _LONGEST_TITLE:
        raise ValueError(f"primaryTitle has {len(title):,} characters, at most {_LONGEST_TITLE:,} are read")
    if year != _NONE and not (year.isascii() and year.isdigit() and len(year) <= 4):
        raise ValueError(f"startYear {year[:40]!r} is neither a year nor {_NONE}")
    return Title(tconst, title, None if year == _NONE else int(year), *_genres(spellings))


@functools.cache  # there are a few thousand combinations, and their films share them
def _genres(spellings: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those among the thirteen, and the others."""
    known, other = set(), []
    for spelling in spellings.split(",") if spellings not in (_NONE, "") else []:
        genre = genre_names.canonical_genre(spelling)
        if not spelling.strip():
            raise ValueError(f"genres {spellings[:40]!r} has one without a name")
        if genre is None:
            other.append(spelling)
        else:
            known.add(genre)
    return tuple(genre for genre in genre_names.GENRES if genre in known), tuple(other)
