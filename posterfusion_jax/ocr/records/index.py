"""Where the records of a file begin: an SQLite file beside it, derived from it, by which a million records open at once."""

import array
import contextlib
import hashlib
import itertools
import pathlib
import sqlite3
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
_CACHE_KIB = 16384  # the most that SQLite may hold in memory
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)  # the last: a table is missing


class IndexState(NamedTuple):
    """How much of its file an index covers, and by what it knows the file again."""

    size: int = 0  # bytes; whole lines, the last of which may lack its line end
    lines: int = 0
    records: int = 0
    head: bytes = hashlib.sha256().digest()  # of the first bytes
    last_offset: int = 0
    last: bytes = hashlib.sha256().digest()  # of the last line


class Row(NamedTuple):
    """Where a record lies in its file, and what decides whether it counts."""

    offset: int
    length: int
    engine: str
    version: str
    status: str


class BadLine(NamedTuple):
    """A line that is no record; `line` counts from 1."""

    line: int
    offset: int
    length: int
    reason: str


class ByteRanges:
    """Offsets and lengths of many records, in sixteen bytes each."""

    def __init__(self, places: Iterable[tuple[int, int]]) -> None:
        self._numbers = array.array("q", itertools.chain.from_iterable(places))

    def __len__(self) -> int:
        return len(self._numbers) // 2

    def __iter__(self) -> Iterator[tuple[int, int]]:
        numbers = iter(self._numbers)
        return zip(numbers, numbers, strict=True)


class RecordIndex:
    """An index on disk, or in memory where SQLite cannot read, write or lock a file there.

    Any method may raise sqlite3.DatabaseError: the file was damaged or locked, or its disk is full. `is_damage` tells
    which. SQLite notices damage that it meets; what it passes over without noticing, `is_sound` finds.

    Attributes:
      in_memory_because: why the index is not on disk; None if it is.
    """

    def __init__(self, path: pathlib.Path | None, belongs: Callable[[IndexState], bool]) -> None:
        """Opens the index at `path`, which is made anew if it is missing, damaged, of another format or of another file.

        Args:
          path: None for an index in memory.
          belongs: whether an index that covers this much was made from the file as it is now.
        """
        self.in_memory_because: str | None = None
        self._known_sound: bool | None = None
        if path is None:
            self._db, self.in_memory_because = _in_memory(), "the folder is read-only"
            return
        try:
            self._db = _on_disk(path, belongs)
        except (sqlite3.DatabaseError, OSError) as error:
            self._db, self.in_memory_because = _in_memory(), str(error)

    def move_to_memory(self, because: str) -> None:
        """Goes on in memory with what the index on disk holds."""
        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._db.backup(memory)
        self._db.close()
        self._db, self.in_memory_because = memory, because

    def close(self) -> None:
        """Ends the use of the index."""
        self._db.close()

    def __del__(self) -> None:
        if hasattr(self, "_db"):
            self._db.close()

    def is_sound(self) -> bool:
        """Whether each record is found by its image: 2.5 s for a million of them, so it is asked once, and when it matters."""
        if self._known_sound is None:
            self._known_sound = self.in_memory_because is not None or _is_consistent(self._db)
        return self._known_sound

    def covered(self) -> IndexState:
        """How much of the file the index covers; another process may extend it."""
        return _covered(self._db)

    @contextlib.contextmanager
    def extending(self, *, much: bool = False) -> Iterator["IndexTransaction"]:
        """Within it, records and bad lines are added to the index, all of them or, where it is left by an error, none.

        Args:
          much: as much as there is already, or more. Then the images are sorted at the end, because hashes come in no order,
            and one after another they would be written to all over the tree.
        """
        with _transaction(self._db):
            if much:
                self._db.execute("DROP INDEX by_image")
            yield IndexTransaction(self._db)
            if much:
                self._db.execute(_BY_IMAGE)

    def rows_of(self, image: bytes) -> list[Row]:
        """The records of the image with this sha256."""
        found = self._db.execute(
            "SELECT offset, length, engine, version, status FROM records JOIN kinds ON kind = id WHERE image = ?", (image,)
        )
        return [Row(*row) for row in found]

    def best_of_each_image(self, engine: str, version: str | None) -> ByteRanges:
        """For each image the newest usable record of an engine, else its newest, in the order of the file."""
        found = self._db.execute(
            f"SELECT offset, length FROM (SELECT offset, length, {_WORTH} FROM records JOIN kinds ON kind = id"
            " WHERE engine = ? AND version = ifnull(?, version) GROUP BY image) ORDER BY offset",
            (engine, version),
        )
        return ByteRanges(found)

    def best_of_each_version(self) -> ByteRanges:
        """The same for each image, engine and version."""
        found = self._db.execute(
            f"SELECT offset, length FROM (SELECT offset, length, {_WORTH} FROM records JOIN kinds ON kind = id"
            " GROUP BY image, engine, version) ORDER BY offset"
        )
        return ByteRanges(found)

    def bad_lines(self) -> list[BadLine]:
        """In the order of the file."""
        return [BadLine(*row) for row in self._db.execute("SELECT line, offset, length, reason FROM bad ORDER BY line")]

    def counts(self) -> dict[tuple[str, str, str], int]:
        """(engine, engine version, status) -> records, sorted."""
        found = self._db.execute(
            "SELECT engine, version, status, count(*) FROM records JOIN kinds ON kind = id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        return {(engine, version, status): count for engine, version, status, count in found}

    def images(self) -> int:
        """How many images have a record."""
        return self._db.execute("SELECT count(DISTINCT image) FROM records").fetchone()[0]


# SQLite takes the plain columns of a group from the row with the maximum (sqlite.org/lang_select.html, "bare columns").
_WORTH = "max((usable << 62) + offset)"


class IndexTransaction:
    """Adds to an index inside one transaction.

    Attributes:
      covered: what the index covered when the transaction began, which no other process changes before it ends.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._kinds: dict[tuple[str, str, str], int] = {}
        self.covered = _covered(db)

    def add(self, offset: int, length: int, record: OcrRecord) -> None:
        """Adds the record that lies there."""
        kind = (record.engine, record.engine_version, record.status)
        if kind not in self._kinds:
            self._db.execute("INSERT OR IGNORE INTO kinds VALUES (NULL, ?, ?, ?, ?)", (*kind, usable(record)))
            found = self._db.execute("SELECT id FROM kinds WHERE engine = ? AND version = ? AND status = ?", kind)
            self._kinds[kind] = found.fetchone()[0]
        row = (offset, length, bytes.fromhex(record.sha256), self._kinds[kind])
        self._db.execute("INSERT INTO records VALUES (?, ?, ?, ?)", row)

    def add_bad(self, line: BadLine) -> None:
        """Adds a line that is no record."""
        self._db.execute("INSERT INTO bad VALUES (?, ?, ?, ?)", line)

    def set_covered(self, covered: IndexState) -> None:
        """Says how far the index goes now."""
        self._db.execute("DELETE FROM covered")
        self._db.execute("INSERT INTO covered VALUES (?, ?, ?, ?, ?, ?)", covered)


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the index itself is broken, rather than out of reach."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)  # Python's own, of a text that is none, have no code
    return code & 0xFF in _DAMAGED


def _on_disk(path: pathlib.Path, belongs: Callable[[IndexState], bool]) -> sqlite3.Connection:
    """Raises sqlite3.DatabaseError or OSError where there can be no index."""
    try:
        db = _open(path, belongs)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        db = None
    except (UnicodeDecodeError, TypeError):  # of damage that is met in a text, or in a number that is none any more
        db = None
    if db is None:
        remove_index(path)
        db = _open(path, belongs)
    if db is None:
        raise OSError("another process made one that is of another file")
    return db


def _open(path: pathlib.Path | str, belongs: Callable[[IndexState], bool]) -> sqlite3.Connection | None:
    """A new or fitting index, None where there is another one."""
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
    """Removes an index; whoever has it open goes on with it as it was. Raises OSError where it cannot be removed."""
    path.unlink(missing_ok=True)
    path.with_name(path.name + "-journal").unlink(missing_ok=True)  # of a process that was killed while it extended it


def _in_memory() -> sqlite3.Connection:
    db = _open(":memory:", lambda _: True)
    assert db is not None
    return db


def _is_consistent(db: sqlite3.Connection) -> bool:
    """Whether SQLite finds no page, row or entry of a tree damaged, and as many whole rows as were counted."""
    if db.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
        return False
    rows = db.execute("SELECT count(length) FROM records JOIN kinds ON kind = id").fetchone()[0]
    return rows == _covered(db).records


def _make_if_empty(db: sqlite3.Connection) -> bool:
    """Whether there was nothing, so that the index is new."""
    if not _is_empty(db):
        return False
    with _transaction(db):
        if not _is_empty(db):  # another process made it meanwhile
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
