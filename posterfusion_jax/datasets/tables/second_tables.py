"""Find tables next to a table: labels with one row each (long form), and ids of other catalogues (MovieLens' links)."""

import itertools
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from posterfusion_jax.datasets.sources.table_columns import NO_COLUMN
from posterfusion_jax.datasets.tables.columns import LABEL_NAMES
from posterfusion_jax.datasets.tables.label_cells import parse_labels
from posterfusion_jax.datasets.tables.open_table import is_table_name, open_table
from posterfusion_jax.datasets.tables.rows import BadRow, Rows, list_columns
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.utils.disk_collections import DiskDict, DiskList, sort_on_disk

_MOST_LABELS = 10_000  # of one id
_MOST_SIBLINGS = 30  # files that are looked into
_OTHER_IDS = ("imdbid", "tmdbid")


class LongTable(NamedTuple):
    """Hold a table with one label per row.

    Attributes:
      path: its file.
      rows: its rows.
      id: place of the column of ids.
      label: place of the column of labels.
      key: the column of the other table that has the same ids.
    """

    path: pathlib.Path
    rows: Rows
    id: int
    label: int
    key: str

    def read(self, key: Callable[[object], str], bad: DiskList[Skipped]) -> DiskDict[tuple[str, ...]]:
        """Return id -> labels, in the order of the rows.

        Args:
          key: cell -> id.
          bad: gets the rows that cannot be read.
        """

        def pairs() -> Iterator[tuple[str, tuple[str, object]]]:
            for row in self.rows.read():
                if isinstance(row, BadRow):
                    bad.append(Skipped(row.place, row.reason))
                else:
                    own = key(row.cells[self.id])
                    yield own, (own, row.cells[self.label])

        def joined() -> Iterator[tuple[str, tuple[str, ...]]]:
            for name, same in itertools.groupby(sort_on_disk(tuple, pairs()), key=lambda pair: pair[0]):
                labels = (label for _, cell in same for label in parse_labels(cell, "").names)
                yield name, tuple(dict.fromkeys(itertools.islice(labels, _MOST_LABELS)))

        return DiskDict(tuple, joined())


class Links(NamedTuple):
    """Hold a table with ids of other catalogues.

    Attributes:
      path: its file.
      columns: of these ids.
      by_id: id -> ids in the order of `columns`.
      bad_rows: number of rows that cannot be read.
    """

    path: pathlib.Path
    columns: tuple[str, ...]
    by_id: DiskDict[list[str]]
    bad_rows: int


def find_label_table(path: pathlib.Path, header: Sequence[str], given: str) -> LongTable | None:
    """Return the table with the labels of another table's rows, or None.

    Args:
      path: of the table without labels.
      header: its columns.
      given: `TableColumns.label_table`.

    Raises:
      InputError: the file that is given has no column of labels, or none that the table has, too.
    """
    if given == NO_COLUMN:
        return None
    if given:
        table = _as_long_table(pathlib.Path(given), header)
        if table is None:
            raise InputError(
                f"data.table_columns.label_table={given!r} needs a column of labels, such as 'genre', and one that {path.name} "
                f"has, too, such as {header[0]!r}; it has {list_columns(open_table(given).header)}."
            )
        return table
    return next((table for sibling in _siblings(path) if (table := _as_long_table(sibling, header))), None)


def find_links(path: pathlib.Path, header: Sequence[str], id_column: str) -> Links | None:
    """Return the table next to another that gives ids of IMDb and TMDB for its ids; None without one."""
    if any(_plain(name) in _OTHER_IDS for name in header) or not id_column:
        return None
    for sibling in _siblings(path):
        if not sibling.name.lower().startswith("links"):
            continue
        rows = open_table(sibling)
        names = [_plain(name) for name in rows.header]
        others = [names.index(name) for name in _OTHER_IDS if name in names]
        if _plain(id_column) not in names or not others:
            continue
        return _read_links(sibling, rows, names.index(_plain(id_column)), others)
    return None


def _read_links(path: pathlib.Path, rows: Rows, own: int, others: Sequence[int]) -> Links:
    bad_rows = 0

    def pairs() -> Iterator[tuple[str, tuple[str, list[str]]]]:
        nonlocal bad_rows
        for row in rows.read():
            if isinstance(row, BadRow):
                bad_rows += 1
            else:
                key = str(row.cells[own]).strip()
                yield key, (key, [str(row.cells[other]).strip() for other in others])

    by_id = DiskDict(list, sort_on_disk(tuple, pairs()))  # keys in order are added faster
    return Links(path, tuple(rows.header[other] for other in others), by_id, bad_rows)


def _as_long_table(path: pathlib.Path, header: Sequence[str]) -> LongTable | None:
    try:
        rows = open_table(path)
    except InputError:
        return None
    names = [_plain(name) for name in rows.header]
    label = next((number for wanted in LABEL_NAMES for number, name in enumerate(names) if name == wanted), None)
    keys = {_plain(column): column for column in reversed(header)}
    shared = next((number for number, name in enumerate(names) if name in keys and number != label), None)
    if label is None or shared is None or len(names) > 4:
        return None
    return LongTable(path, rows, shared, label, keys[names[shared]])


def _siblings(path: pathlib.Path) -> Iterator[pathlib.Path]:
    if path.is_dir():
        return
    with os.scandir(path.parent) as entries:
        names = sorted(entry.name for entry in itertools.islice(entries, 1000) if is_table_name(entry.name) and entry.is_file())
    yield from (path.parent / name for name in names[:_MOST_SIBLINGS] if name != path.name)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())
