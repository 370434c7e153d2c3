"""Index the records of a file in an SQLite file next to it, by which a million records open immediately."""

import array
import contextlib
import hashlib
import itertools
import pathlib
import sqlite3
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from posterfusion_jax.ocr.records.record import RULES, OcrRecord, usable

SUFFIX = ".index"
_BY_IMAGE = "CREATE INDEX by_image ON records (image)"
_SCHEMA = (
    "CREATE TABLE covered (size INTEGER, lines INTEGER, records INTEGER, head BLOB, last_offset INTEGER, last BLOB)",
    "CREATE TABLE kinds (id INTEGER PRIMARY KEY, engine TEXT, version TEXT, status TEXT, usable INTEGER,"
    " UNIQUE (engine, version, status))",
    "CREATE TABLE records (offset INTEGER PRIMARY KEY, length INTEGER, image BLOB, kind INTEGER REFERENCES kinds)",
    _BY_IMAGE,
    "CREATE TABLE bad (line INTEGER PRIMARY KEY, offset INTEGER, length INTEGER, reason TEXT)",
)
_FORMAT = zlib.crc32("\n".join([*_SCHEMA, RULES]).encode()) >> 1 | 1  # fits SQLite's user_version, and is never 0
_WAIT_S = 60.0  # for another process that is extending the index
_CACHE_KIB = 16384  # memory limit of SQLite
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)  # the last: a table is missing


class IndexState(NamedTuple):
    """Hold how much of its file an index covers, and the hashes by which it recognizes the file."""

    size: int = 0  # bytes; whole lines, the last of which may lack its line break
    lines: int = 0
    records: int = 0
    head: bytes = hashlib.sha256().digest()  # of the first bytes
    last_offset: int = 0
    last: bytes = hashlib.sha256().digest()  # of the last line


class Row(NamedTuple):
    """Hold the position of a record in its file, and the fields that decide whether it counts."""

    offset: int
    length: int
    engine: str
    version: str
    status: str


class BadLine(NamedTuple):
    """Describe a line that is not a record; `line` counts from 1."""

    line: int
    offset: int
    length: int
    reason: str


class ByteRanges:
    """Hold the offsets and lengths of many records, in sixteen bytes each."""

    def __init__(self, places: Iterable[tuple[int, int]]) -> None:
        self._numbers = array.array("q", itertools.chain.from_iterable(places))

    def __len__(self) -> int:
        return len(self._numbers) // 2

    def __iter__(self) -> Iterator[tuple[int, int]]:
        numbers = iter(self._numbers)
        return zip(numbers, numbers, strict=True)


class RecordIndex:
    """Hold an index on disk, or in memory if SQLite cannot read, write or lock a file there.

    Any method may raise sqlite3.DatabaseError: the file was damaged or locked, or its disk is full. `is_damage` distinguishes
    them. SQLite reports the damage that it encounters; `is_sound` finds the rest.

    Attributes:
      in_memory_reason: why the index is not on disk; None if it is.
    """

    def __init__(self, path: pathlib.Path | None, belongs: Callable[[IndexState], bool]) -> None:
        """Open the index at `path`, which is rebuilt if it is missing, damaged, of another format or of another file.

        Args:
          path: None for an index in memory.
          belongs: returns whether an index in this state was made from the present file.
        """
        self.in_memory_reason: str | None = None
        self._known_sound: bool | None = None
        if path is None:
            self.in_memory_reason = "the folder is read-only"
        else:
            try:
                self._use(_on_disk(path, belongs))
                return
            except (sqlite3.DatabaseError, OSError) as error:
                self.in_memory_reason = str(error)
        self._use(_in_memory())

    def move_to_memory(self, reason: str) -> None:
        """Copy the index on disk to memory and continue with the copy."""
        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._db.backup(memory)
        self._db.close()
        self._use(memory)
        self.in_memory_reason = reason

    def close(self) -> None:
        """Close the index."""
        self._db.close()

    def _use(self, db: sqlite3.Connection) -> None:
        self._db = db
        weakref.finalize(self, db.close)

    def is_sound(self) -> bool:
        """Return whether each record is found by its image.

        The check takes 2.5 s for a million records, so it runs once, and only before the result matters.
        """
        if self._known_sound is None:
            self._known_sound = self.in_memory_reason is not None or _is_consistent(self._db)
        return self._known_sound

    def covered(self) -> IndexState:
        """Return how much of the file the index covers; another process may extend it."""
        return _covered(self._db)

    @contextlib.contextmanager
    def transaction(self, *, bulk: bool = False) -> Iterator["IndexTransaction"]:
        """Open a transaction that adds records and bad lines: all of them or, if it is left by an error, none.

        Args:
          bulk: as much as there is already, or more, is added. Then the images are sorted at the end, because hashes arrive in
            random order and inserting them one by one would write to random pages of the tree.
        """
        with _transaction(self._db):
            if bulk:
                self._db.execute("DROP INDEX by_image")
            yield IndexTransaction(self._db)
            if bulk:
                self._db.execute(_BY_IMAGE)

    def rows_of(self, image: bytes) -> list[Row]:
        """Return the records of the image with this sha256."""
        found = self._db.execute(
            "SELECT offset, length, engine, version, status FROM records JOIN kinds ON kind = id WHERE image = ?", (image,)
        )
        return [Row(*row) for row in found]

    def best_of_each_image(self, engine: str, version: str | None) -> ByteRanges:
        """Return for each image the newest usable record of an engine, else its newest, in the order of the file."""
        found = self._db.execute(
            f"SELECT offset, length FROM (SELECT offset, length, {_BEST} FROM records JOIN kinds ON kind = id"
            " WHERE engine = ? AND version = ifnull(?, version) GROUP BY image) ORDER BY offset",
            (engine, version),
        )
        return ByteRanges(found)

    def best_of_each_version(self) -> ByteRanges:
        """Return for each image, engine and version the newest usable record, else the newest, in the order of the file."""
        found = self._db.execute(
            f"SELECT offset, length FROM (SELECT offset, length, {_BEST} FROM records JOIN kinds ON kind = id"
            " GROUP BY image, engine, version) ORDER BY offset"
        )
        return ByteRanges(found)

    def bad_lines(self) -> list[BadLine]:
        """Return the lines that are not records, in the order of the file."""
        return [BadLine(*row) for row in self._db.execute("SELECT line, offset, length, reason FROM bad ORDER BY line")]

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Return (engine, engine version, status) -> number of records, sorted."""
        found = self._db.execute(
            "SELECT engine, version, status, count(*) FROM records JOIN kinds ON kind = id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        return {(engine, version, status): count for engine, version, status, count in found}

    def images(self) -> int:
        """Return the number of images that have a record."""
        return self._db.execute("SELECT count(DISTINCT image) FROM records").fetchone()[0]


# SQLite takes the plain columns of a group from the row with the maximum (sqlite.org/lang_select.html, "bare columns").
_BEST = "max((usable << 62) + offset)"


class IndexTransaction:
    """Add to an index inside one transaction.

    Attributes:
      covered: the state of the index when the transaction began, which no other process changes before it ends.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._kinds: dict[tuple[str, str, str], int] = {}
        self.covered = _covered(db)

    def add(self, offset: int, length: int, record: OcrRecord) -> None:
        """Add the record at this position."""
        kind = (record.engine, record.engine_version, record.status)
        if kind not in self._kinds:
            self._db.execute("INSERT OR IGNORE INTO kinds VALUES (NULL, ?, ?, ?, ?)", (*kind, usable(record)))
            found = self._db.execute("SELECT id FROM kinds WHERE engine = ? AND version = ? AND status = ?", kind)
            self._kinds[kind] = found.fetchone()[0]
        row = (offset, length, bytes.fromhex(record.sha256), self._kinds[kind])
        self._db.execute("INSERT INTO records VALUES (?, ?, ?, ?)", row)

    def add_bad(self, line: BadLine) -> None:
        """Add a line that is not a record."""
        self._db.execute("INSERT INTO bad VALUES (?, ?, ?, ?)", line)

    def set_covered(self, covered: IndexState) -> None:
        """Store how much of the file the index covers now."""
        self._db.execute("DELETE FROM covered")
        self._db.execute("INSERT INTO covered VALUES (?, ?, ?, ?, ?, ?)", covered)


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Return whether the index itself is damaged, rather than locked or unreachable."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)  # errors of Python itself, for invalid text, have no code
    return code & 0xFF in _DAMAGED


def _on_disk(path: pathlib.Path, belongs: Callable[[IndexState], bool]) -> sqlite3.Connection:
    """Open or rebuild the index at `path`.

    Raises:
      sqlite3.DatabaseError: the index cannot be read or locked.
      OSError: the index cannot be replaced.
    """
    try:
        db = _open(path, belongs)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        db = None
    except (UnicodeDecodeError, TypeError):  # from a damaged text or number
        db = None
    if db is None:
        remove_index(path)
        db = _open(path, belongs)
    if db is None:
        raise OSError("another process created one that belongs to another file")
    return db


def _open(path: pathlib.Path | str, belongs: Callable[[IndexState], bool]) -> sqlite3.Connection | None:
    """Return a new or matching index, None if the one at `path` does not match."""
    db = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if _make_if_empty(db) or (_format(db) == _FORMAT and belongs(_covered(db))):
            return db
    except BaseException:
        db.close()
        raise
    db.close()
    return None


def remove_index(path: pathlib.Path) -> None:
    """Remove an index; a process that has it open continues to use it unchanged.

    Raises:
      OSError: it cannot be removed.
    """
    path.unlink(missing_ok=True)
    path.with_name(path.name + "-journal").unlink(missing_ok=True)  # of a process killed while it extended the index


def _in_memory() -> sqlite3.Connection:
    db = _open(":memory:", lambda _: True)
    assert db is not None
    return db


def _is_consistent(db: sqlite3.Connection) -> bool:
    """Return whether SQLite finds every page, row and tree entry intact, and as many whole rows as were counted."""
    if db.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
        return False
    rows = db.execute("SELECT count(length) FROM records JOIN kinds ON kind = id").fetchone()[0]
    return rows == _covered(db).records


def _make_if_empty(db: sqlite3.Connection) -> bool:
    """Create the tables of an empty database; return whether it was empty, so that the index is new."""
    if not _is_empty(db):
        return False
    with _transaction(db):
        if not _is_empty(db):  # another process created it meanwhile
            return False
        for statement in _SCHEMA:
            db.execute(statement)
        db.execute("INSERT INTO covered VALUES (?, ?, ?, ?, ?, ?)", IndexState())
        db.execute(f"PRAGMA user_version = {_FORMAT}")
    return True


def _is_empty(db: sqlite3.Connection) -> bool:
    return _format(db) == 0 and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0


def _format(db: sqlite3.Connection) -> int:
    return db.execute("PRAGMA user_version").fetchone()[0]


def _covered(db: sqlite3.Connection) -> IndexState:
    row = db.execute("SELECT size, lines, records, head, last_offset, last FROM covered").fetchone()
    return IndexState(*row)


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
