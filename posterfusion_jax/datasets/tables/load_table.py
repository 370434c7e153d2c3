"""Read all rows of a table once, and join them with their pictures."""

import array
import itertools
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from posterfusion_jax.datasets.imdb_posters.hashing import hash_file
from posterfusion_jax.datasets.sources.base import Entry, LeftOut, Pictures
from posterfusion_jax.datasets.sources.pictures import FoundPictures, Picture, PosterIds, name_poster
from posterfusion_jax.datasets.tables.describe import EXAMPLES, WIDTH, example_row
from posterfusion_jax.datasets.tables.picture_index import PictureIndex
from posterfusion_jax.datasets.tables.picture_rule import RowPictures
from posterfusion_jax.datasets.tables.plan import TablePlan
from posterfusion_jax.datasets.tables.row_parser import RowParser
from posterfusion_jax.datasets.tables.rows import BadRow
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import PosterFile, Skipped
from posterfusion_jax.posters.image_files import OtherFiles, shown
from posterfusion_jax.utils.console import sanitize
from posterfusion_jax.utils.disk_collections import DiskDict, DiskList, DiskSet, sort_on_disk

_BAD_SHARE, _BAD_LEAST = 0.2, 5  # rows that cannot be read: reaching both ends the run
_SAME_NAME = 1  # mark of a picture whose name another one has, too


class LoadedTable(NamedTuple):
    """Hold what was read.

    Attributes:
      pictures: that rows name.
      entries: poster_id -> title, labels and so on.
      bad_rows: rows that cannot be read.
      notes: cells that were not read literally, as `Entries.notes`.
      how: how the table was read: lines for people.
    """

    pictures: Pictures
    entries: DiskDict[Entry]
    bad_rows: LeftOut
    notes: Mapping[str, Any]
    how: list[str]


class _Record(NamedTuple):
    """Hold a row that has a picture: places of both, the group ("": not known yet) and the entry as JSON value."""

    picture: int
    row: int
    place: str
    group: str
    entry: list[Any]


class _Poster(NamedTuple):
    """Hold a picture with its row."""

    poster_id: str
    name: str
    file: str
    group: str
    entry: list[Any]


class _Second(NamedTuple):
    """Hold a row whose picture has a row already."""

    row: int
    kind: str
    skipped: list[str]


def load_table(plan: TablePlan, found: FoundPictures, index: PictureIndex, *, place: str) -> LoadedTable:
    """Read a table.

    Args:
      plan: how.
      found: the pictures.
      index: the same, to look them up.
      place: of the table, for messages.

    Raises:
      InputError: the table cannot be read, or a large share of its rows, or no row has a picture.
    """
    return _Loading(plan, found, index, place).load()


class _Loading:
    """Read the rows of one table.

    Rows are sorted by their pictures, so that both are joined in one pass and nothing grows in memory but a few bytes per
    picture and per group.
    """

    def __init__(self, plan: TablePlan, found: FoundPictures, index: PictureIndex, place: str):
        self._plan, self._found, self._place = plan, found, place
        self._parser = RowParser(plan.rows.header, plan.roles)
        self._pictures = RowPictures(self._parser, index, plan.links)
        self._left_out, self._bad_rows = LeftOut(), LeftOut()
        self._rows = self._with_picture = 0
        self._marks = bytearray(len(found.pictures))
        self._groups = array.array("q")  # hashes
        self._unused = DiskList(Skipped._make)
        self._second = DiskList(_Second._make)
        self._examples: list[str] = []

    def load(self) -> LoadedTable:
        plan = self._plan
        records = sort_on_disk(_Record._make, ((record.picture, record) for record in self._records()))
        self._check_bad_rows()
        posters = _order(self._join(records))
        if not posters:
            raise InputError(f"no row of data.table={self._place!r} has a picture that can be used.")
        for second in sort_on_disk(_Second._make, ((second.row, second) for second in self._second)):
            self._left_out[second.kind].append(Skipped._make(second.skipped))
        self._left_out.add("picture without a row", self._unused)
        for kind, items in self._found.left_out.items():
            self._left_out.add(kind, items)
        files = DiskList(PosterFile._make, (PosterFile(poster.poster_id, poster.group, poster.file) for poster in posters))
        entries = DiskDict(Entry.from_json, ((poster.poster_id, Entry.from_json(poster.entry)) for poster in posters))
        how = [*plan.how, *plan.rows.remarks(), *self._summary(len(files)), *self._examples]
        pictures = Pictures(files, self._left_out, OtherFiles(self._found.other_files))
        return LoadedTable(pictures, entries, self._bad_rows, self._parser.notes, how)

    def _records(self) -> Iterator[_Record]:
        """Yield the rows that have a picture, one for each of their pictures."""
        plan, rule, text = self._plan, self._plan.rule, self._parser.text
        key = plan.label_table.key if plan.label_table else ""
        labels, bad = None, DiskList(Skipped._make)
        if plan.label_table:
            labels = plan.label_table.read(self._parser.key, bad)
        if not plan.is_long:
            self._bad_rows.add("row of the labels' table", bad)
        seen = DiskSet() if plan.is_long else None
        for number, row in enumerate(plan.rows.read()):
            if isinstance(row, BadRow):
                self._bad_rows["table row"].append(Skipped(row.place, row.reason))
                continue
            if seen is not None and (own := text(row, key)) and not seen.add(own):
                continue
            self._rows += 1
            match = self._pictures.find(rule, row)
            if not match.places:
                named = sanitize(self._pictures.name(rule, row), width=WIDTH)
                self._left_out["no picture"].append(Skipped(row.place, f"there is no picture of {named!r}"))
                continue
            self._with_picture += 1
            for place in match.same_name:
                self._marks[place] = _SAME_NAME
            parsed = self._parser.parse(row, labels, key)
            group = parsed.group or text(row, plan.group_id)[:200]
            if len(self._examples) < EXAMPLES:
                names = [name_poster(self._found.pictures[place].name) for place in match.places[:2]]
                self._examples.append(example_row(row, parsed, names + names[1:] * (len(match.places) - 2), group))
            for place in match.places:
                yield _Record(place, number, row.place, group, list(parsed.entry))

    def _join(self, records: Iterable[_Record]) -> Iterator[_Poster]:
        """Yield the pictures that have a row, with the first of their rows."""
        pictures = enumerate(self._found.pictures)
        for place, same in itertools.groupby(records, key=lambda record: record.picture):
            picture = next(picture for number, picture in pictures if number == place or self._is_unused(number, picture))
            first = self._first_row(same, picture)
            group = first.group or _picture_group(picture)
            self._groups.append(hash(group))
            yield _Poster(name_poster(picture.name), picture.name, picture.file, group, first.entry)
        for number, picture in pictures:
            self._is_unused(number, picture)

    def _first_row(self, records: Iterator[_Record], picture: Picture) -> _Record:
        """Return the first row of a picture; record the others."""
        first = next(records)
        self._second.extend(_second_row(first, second, picture) for second in records)
        return first

    def _is_unused(self, number: int, picture: Picture) -> bool:
        """Record a picture that no row has; return False."""
        reason = f"no row of {pathlib.Path(self._place).name} names it"
        if self._marks[number] == _SAME_NAME:
            reason = "a picture of the same name in another folder is that of the row"
        self._unused.append(Skipped(shown(picture.name), reason))
        return False

    def _check_bad_rows(self) -> None:
        bad = self._bad_rows.get("table row", ())
        all_rows = len(bad) + self._rows
        if len(bad) >= _BAD_LEAST and len(bad) >= _BAD_SHARE * all_rows:
            first = "; ".join(f"{item.what}: {item.reason}" for item in bad[:EXAMPLES])
            delimiter = self._plan.rows.delimiter
            fix = f"Is data.table_columns.delimiter={delimiter!r} right? Cells that hold it must be in quotes."
            raise InputError(
                f"data.table={self._place!r}: {len(bad):,} of {all_rows:,} rows cannot be read ({first}). "
                f"{fix if delimiter else 'Give a file with an object per poster.'}"
            )

    def _summary(self, posters: int) -> Iterator[str]:
        missing = self._rows - self._with_picture
        yield f"{self._rows:,} rows, {self._with_picture:,} with a picture, {missing:,} without; {posters:,} posters"
        _, counts = np.unique(np.frombuffer(self._groups, np.int64), return_counts=True)
        yield f"{len(counts):,} {self._plan.unit}s, {int((counts > 1).sum()):,} of them with several posters"


def _picture_group(picture: Picture) -> str:
    """Return the group of a picture's bytes; one that cannot be read, which is reported where it is decoded, has its own."""
    try:
        return f"sha256:{hash_file(pathlib.Path(picture.file))[:32]}"
    except OSError:
        return f"picture:{name_poster(picture.name)}"


def _second_row(first: _Record, second: _Record, picture: Picture) -> _Second:
    same = set(first.entry[2]) == set(second.entry[2])
    kind = "second row of a picture" if same else "second row of a picture, with other labels"
    reason = f"{name_poster(picture.name)} has a row already, {first.place}; the first one counts"
    return _Second(second.row, kind, [second.place, reason])


def _order(posters: Iterator[_Poster]) -> DiskList[_Poster]:
    """Return the posters sorted by their ids, which are made to differ; most tables have them in this order."""
    in_order, last = True, ""

    def checked() -> Iterator[_Poster]:
        nonlocal in_order, last
        for poster in posters:
            in_order = in_order and poster.poster_id > last
            last = poster.poster_id
            yield poster

    found = DiskList(_Poster._make, checked())
    if in_order:
        return found
    found = sort_on_disk(_Poster._make, ((poster.poster_id, poster) for poster in found))
    if all(first.poster_id != second.poster_id for first, second in itertools.pairwise(found)):
        return found
    ids = PosterIds()
    named = (poster._replace(poster_id=ids.make(poster.name)) for poster in found)
    return sort_on_disk(_Poster._make, ((poster.poster_id, poster) for poster in named))
