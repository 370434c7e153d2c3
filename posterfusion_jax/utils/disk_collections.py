"""Keep collections in temporary files instead of memory, for data that grows with the number of posters.

Each is a nameless SQLite database, which gets a file only once it is larger than SQLite's cache of 2 MB, in $SQLITE_TMPDIR,
else $TMPDIR, else /var/tmp (sqlite.org/tempfiles.html). The file is removed when it is opened, so nothing is left, even
after a crash. Items are written as JSON; `make` turns a JSON value back into an item, as `_make` of a NamedTuple does.
"""

import itertools
import json
import sqlite3
from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, overload

from posterfusion_jax.errors import InputError

_T = TypeVar("_T")

_ITEMS_PER_ROW = 64  # items of a list in one row of its table
_SLOTS = 1 << 22  # bytes
_encode = json.JSONEncoder(separators=(",", ":")).encode
_decoder = json.JSONDecoder().raw_decode  # without the search for white space around the value


def _decode(text: str) -> Any:
    return _decoder(text)[0]


class DiskList(Sequence[_T]):
    """Keep a list on disk: append, iterate, or read any item; slices (of step 1) are views."""

    def __init__(self, make: Callable[[Any], _T], items: Iterable[_T] = ()) -> None:
        self._db: sqlite3.Connection | None = None
        self._make = make
        self._last: list[_T] = []  # not yet in a row
        self._rows = 0
        self.extend(items)

    def append(self, item: _T) -> None:
        """Add an item at the end."""
        self._last.append(item)
        if len(self._last) == _ITEMS_PER_ROW:
            self._write(_encode(self._last))
            self._last = []

    def extend(self, items: Iterable[_T]) -> None:
        """Add items at the end."""
        for item in items:
            self.append(item)

    def __len__(self) -> int:
        return self._rows * _ITEMS_PER_ROW + len(self._last)

    def __iter__(self) -> Iterator[_T]:
        return self._between(0, len(self))

    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[_T]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return _View(self, range(len(self))[index])
        place = range(len(self))[index]
        return next(self._between(place, place + 1))

    def __del__(self) -> None:
        if self._db is not None:
            self._db.close()

    def _write(self, row: str) -> None:
        if self._db is None:
            self._db = _open("CREATE TABLE rows (row INTEGER PRIMARY KEY, items TEXT)")
        self._db.execute("INSERT INTO rows VALUES (?, ?)", (self._rows, row))
        self._rows += 1

    def _between(self, start: int, stop: int) -> Iterator[_T]:
        first = start // _ITEMS_PER_ROW
        return itertools.islice(self._from_row(first), start - first * _ITEMS_PER_ROW, stop - first * _ITEMS_PER_ROW)

    def _from_row(self, first: int) -> Iterator[_T]:
        if self._db is not None and first < self._rows:
            for (row,) in self._db.execute("SELECT items FROM rows WHERE row >= ? ORDER BY row", (first,)):
                yield from map(self._make, _decode(row))
        yield from self._last


class _View(Sequence[_T]):
    """Show a part of a list on disk."""

    def __init__(self, whole: DiskList[_T], places: range) -> None:
        if places.step != 1:
            raise ValueError(f"a slice of step {places.step}: only 1 is possible")
        self._whole, self._places = whole, places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[_T]:
        return self._whole._between(self._places.start, max(self._places.start, self._places.stop))

    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[_T]: ...
    def __getitem__(self, index: int | slice) -> Any:
        place = self._places[index]
        return _View(self._whole, place) if isinstance(place, range) else self._whole[place]


class DiskDict(Mapping[str, _T]):
    """Keep a dict on disk, without deletion; it iterates in the order of its keys."""

    def __init__(self, make: Callable[[Any], _T], items: Iterable[tuple[str, _T]] = ()) -> None:
        self._db = _open("CREATE TABLE items (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
        self._make = make
        self._db.executemany("INSERT OR REPLACE INTO items VALUES (?, ?)", ((key, _encode(value)) for key, value in items))

    def __getitem__(self, key: str) -> _T:
        found = self._db.execute("SELECT value FROM items WHERE key = ?", (key,)).fetchone()
        if found is None:
            raise KeyError(key)
        return self._make(_decode(found[0]))

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, or the default where there is none."""
        found = self._db.execute("SELECT value FROM items WHERE key = ?", (key,)).fetchone()
        return default if found is None else self._make(_decode(found[0]))

    def __contains__(self, key: object) -> bool:
        return self._db.execute("SELECT 1 FROM items WHERE key = ?", (key,)).fetchone() is not None

    def __setitem__(self, key: str, value: _T) -> None:
        self._db.execute("INSERT OR REPLACE INTO items VALUES (?, ?)", (key, _encode(value)))

    def __iter__(self) -> Iterator[str]:
        for (key,) in self._db.execute("SELECT key FROM items ORDER BY key"):
            yield key

    def __len__(self) -> int:
        return self._db.execute("SELECT count(*) FROM items").fetchone()[0]

    def items(self) -> ItemsView[str, _T]:
        """Return keys and values, in the order of the keys."""
        return _Items(self)

    def __del__(self) -> None:
        self._db.close()


class _Items(ItemsView[str, _T]):
    """Iterate in one pass, where `Mapping` would look up one key after another."""

    _mapping: DiskDict[_T]

    def __iter__(self) -> Iterator[tuple[str, _T]]:
        for key, value in self._mapping._db.execute("SELECT key, value FROM items ORDER BY key"):
            yield key, self._mapping._make(_decode(value))


class KeyFilter:
    """Remember which keys were added, in memory of a fixed size: a key that was not added is recognized in most cases."""

    def __init__(self, slots: int = _SLOTS) -> None:
        """Take the number of slots, a byte each; with one key per 20 slots, a new key hits a taken one once in 20 times."""
        self._slots = bytearray(slots)  # 1 where a key with that hash was added

    def add(self, key: str | bytes) -> None:
        """Add a key."""
        self._slots[hash(key) % len(self._slots)] = 1

    def may_have(self, key: str | bytes) -> bool:
        """Return False only where the key was not added."""
        return self._slots[hash(key) % len(self._slots)] == 1


class DiskSet:
    """Keep a set of texts or bytes on disk; most missing keys are recognized without a query."""

    def __init__(self, keys: Iterable[str | bytes] = ()) -> None:
        self._db = _open("CREATE TABLE keys (key PRIMARY KEY) WITHOUT ROWID")
        self._filter = KeyFilter()
        for key in keys:
            self.add(key)

    def add(self, key: str | bytes) -> bool:
        """Add a key; return whether it is new."""
        self._filter.add(key)
        return self._db.execute("INSERT OR IGNORE INTO keys VALUES (?)", (key,)).rowcount == 1

    def __contains__(self, key: str | bytes) -> bool:
        if not self._filter.may_have(key):
            return False
        return self._db.execute("SELECT 1 FROM keys WHERE key = ?", (key,)).fetchone() is not None

    def __del__(self) -> None:
        self._db.close()


def sort_on_disk(make: Callable[[Any], _T], items: Iterable[tuple[str | bytes | int, _T]]) -> DiskList[_T]:
    """Return the items sorted by the keys that come with them; the sort is stable."""
    db = _open("CREATE TABLE items (place INTEGER PRIMARY KEY, key, item TEXT)")
    try:
        db.executemany("INSERT INTO items VALUES (NULL, ?, ?)", ((key, _encode(item)) for key, item in items))
        found = db.execute("SELECT item FROM items ORDER BY key, place")
        ordered = DiskList(make)
        while len(some := found.fetchmany(_ITEMS_PER_ROW)) == _ITEMS_PER_ROW:
            ordered._write(f"[{','.join(item for (item,) in some)}]")
        ordered.extend(make(_decode(item)) for (item,) in some)
        return ordered
    finally:
        db.close()


class _Database(sqlite3.Connection):
    """Report where space is missing."""

    def execute(self, *args: Any) -> sqlite3.Cursor:
        try:
            return super().execute(*args)
        except sqlite3.OperationalError as error:
            raise _no_room(error) from error

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        try:
            return super().executemany(*args)
        except sqlite3.OperationalError as error:
            raise _no_room(error) from error


def _no_room(error: sqlite3.OperationalError) -> InputError:
    return InputError(
        f"temporary files cannot be written: {error}. Their folder is the one that the environment variable TMPDIR names, "
        "else /var/tmp. Make room there, or name another folder with TMPDIR=FOLDER."
    )


def _open(table: str) -> sqlite3.Connection:
    db = sqlite3.connect("", isolation_level=None, check_same_thread=False, factory=_Database)
    db.execute("PRAGMA temp_store = FILE")  # of its sorts, too
    db.execute("PRAGMA journal_mode = OFF")
    db.execute(table)
    db.execute("BEGIN")  # never ended: a transaction per item would double the time
    return db
