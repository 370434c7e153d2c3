"""Read one file of records, JSON lines: records are found by the image's hash through an index, and read on request."""

import hashlib
import logging
import os
import pathlib
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator
from typing import TypeVar

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.records.index import (
    SUFFIX,
    BadLine,
    ByteRanges,
    IndexState,
    IndexTransaction,
    RecordIndex,
    Row,
    is_damage,
    remove_index,
)
from posterfusion_jax.ocr.records.json_lines import COMMAND, rewrite_as_lines
from posterfusion_jax.ocr.records.locks import is_at
from posterfusion_jax.ocr.records.record import OcrRecord, from_json
from posterfusion_jax.ocr.records.record_lines import FileChanged, read_lines
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.utils.progress import progress_bar

RECENT_BYTES = 1 << 20  # of lines kept in memory before they are added to the index, which needs a write to disk
_STEP_BYTES = 256 << 20  # indexed in one transaction: the most that a kill can lose while a file is indexed for the first time
_HEAD_BYTES = 4096
_SLOW_S = 2.0

_Result = TypeVar("_Result")


class IndexedRecordFile:
    """Read the records of one file to which other processes may append. Writes only the index next to the file.

    It continues to read the file that it opened, even if another one takes that name.

    Attributes:
      path: of the JSON lines; the index is `path` with ".index" at its end.
      form: the form of a file that is not plain JSON lines, such as "unpacked with gzip", else "". Of such a file a copy is
        read, with an index in memory, and later appends of others are not seen.
    """

    def __init__(self, path: pathlib.Path, *, use_index: bool = True) -> None:
        """Open the file and add to its index what is missing there.

        Args:
          path: of the file.
          use_index: False reads the whole file into an index in memory and ignores an existing one.

        Raises:
          InputError: the file is missing or cannot be read.
        """
        self.path, self.form = path, ""
        try:
            rewritten = rewrite_as_lines(path)
            self._file = rewritten.file if rewritten else path.open("rb", buffering=0)
        except OSError as error:
            raise InputError(f"OCR records {str(path)!r} cannot be read: {error.strerror or error}.") from error
        if rewritten:
            self.form = rewritten.how
            logging.warning("%s is read through a copy: %s. To rewrite it as JSON lines: %s", path, self.form, COMMAND)
            use_index = False
        index_path = path.with_name(path.name + SUFFIX)
        # root may write into any folder, but one without any permission to write is meant to stay unchanged
        may_write = index_path.exists() or path.parent.stat().st_mode & 0o222
        self._index_path = index_path if use_index and may_write else None
        self._use_index = use_index
        self._index = RecordIndex(self._index_path, self._matches_file)
        weakref.finalize(self, self._file.close)
        self._recent: dict[bytes, list[Row]] = {}  # by image: records that are not in the index
        self._indexed_end, self._recent_end = 0, 0  # positions where their lines begin and end
        self._torn: tuple[int, int, str] | None = None  # position, length and fault of an incomplete line after them
        self._seen_size = 0  # of the file, when it before last looked at
        self.extend_index()

    def expect_change(self) -> None:
        """Read the end of the file again at the next query, even if its size is the same: its last line was repaired."""
        self._seen_size = -1

    def is_at(self, path: pathlib.Path) -> bool:
        """Return whether `path` names the file that is open here."""
        return is_at(self._file, path)

    def rows_of(self, image: bytes) -> list[Row]:
        """Return the records of the image with this sha256, including those that another process has just appended."""
        self._check_for_appends()
        found = self._query(lambda index: index.rows_of(image))
        if not found:  # a damaged tree may hide an existing record
            self._check_index()
            found = self._query(lambda index: index.rows_of(image))
        return found + self._recent.get(image, [])

    def read(self, offset: int, length: int) -> OcrRecord | None:
        """Return the record at this position; None if there is none, because the file was changed other than by appending."""
        try:
            if not 0 <= offset < offset + length <= self._size():
                return None
            return from_json(os.pread(self._file.fileno(), length, offset).decode())
        except (ValueError, TypeError):  # TypeError: a damaged index has no number as position
            return None

    def read_line(self, offset: int, length: int) -> bytes:
        """Return the bytes of a line, and nothing of the next one."""
        return os.pread(self._file.fileno(), length, offset)

    def best_of_each_image(self, engine: str, version: str | None) -> ByteRanges:
        """Return `RecordIndex.best_of_each_image` of the present file."""
        self.extend_index()
        self._check_index()
        return self._query(lambda index: index.best_of_each_image(engine, version))

    def best_of_each_version(self) -> ByteRanges:
        """Return `RecordIndex.best_of_each_version` of the present file."""
        self.extend_index()
        self._check_index()
        return self._query(lambda index: index.best_of_each_version())

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Return (engine, engine version, status) -> number of records."""
        self.extend_index()
        return self._query(lambda index: index.counts())

    def images(self) -> int:
        """Return the number of images that have a record."""
        self.extend_index()
        return self._query(lambda index: index.images())

    def bad_lines(self) -> list[BadLine]:
        """Return the lines that are not records, including a torn last one."""
        self.extend_index()
        bad = self._query(lambda index: index.bad_lines())
        if self._torn:
            bad.append(BadLine(self._query(lambda index: index.covered()).lines + 1, *self._torn))
        return bad

    def skipped(self) -> list[Skipped]:
        """Return the lines that are not records, as "file:line" with the reason."""
        return [Skipped(f"{self.path}:{bad.line}", bad.reason) for bad in self.bad_lines()]

    def __len__(self) -> int:
        """Return the number of records, including superseded ones."""
        self.extend_index()
        return self._query(lambda index: index.covered()).records + sum(map(len, self._recent.values()))

    def __iter__(self) -> Iterator[OcrRecord]:
        """Yield all records in the order of the file."""
        for line in read_lines(self._file, 0):
            if isinstance(line.parsed, OcrRecord):
                yield line.parsed

    def extend_index(self) -> None:
        """Add the lines appended since the last call to the index, except a torn last line."""
        started = time.monotonic()
        covered = self._query(lambda index: index.covered())
        size = self._size()
        if size < covered.size:
            return self.rebuild_index()
        with progress_bar(
            total=size - covered.size, desc=f"Indexing {self.path.name}", unit="B", unit_scale=True, delay=_SLOW_S, leave=False
        ) as bar:
            while covered.size < size:
                try:
                    with self._index.transaction(bulk=size - covered.size >= covered.size) as transaction:
                        reached = self._extend(transaction, bar.update)
                except (sqlite3.DatabaseError, UnicodeDecodeError, TypeError) as error:
                    self._repair_index(error)
                    covered = self._index.covered()
                    continue
                except FileChanged:
                    return self.rebuild_index()
                if reached == covered:
                    break
                covered = reached
        self._recent, self._indexed_end, self._recent_end = {}, covered.size, covered.size
        self._read_recent()
        if self._use_index and self._index.in_memory_reason and time.monotonic() - started > _SLOW_S:
            logging.warning(
                "The index of %s cannot be stored next to it (%s): it is rebuilt in memory each time the file is opened.",
                self.path,
                self._index.in_memory_reason,
            )

    def rebuild_index(self) -> None:
        """Replace the index, because the file was changed other than by appending."""
        logging.warning("%s was changed other than by appending; its index is rebuilt.", self.path)
        self._replace_index()
        self.extend_index()

    def _matches_file(self, covered: IndexState) -> bool:
        """Return whether the file begins like the indexed one, and has the last indexed line at the same position."""
        if self._size() < covered.size:
            return False
        last = self.read_line(covered.last_offset, covered.size - covered.last_offset)
        return self._head(covered.size) == covered.head and _digest(last) == covered.last

    def _head(self, size: int) -> bytes:
        return _digest(self.read_line(0, min(size, _HEAD_BYTES)))

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _extend(self, transaction: IndexTransaction, advance: Callable[[int], object]) -> IndexState:
        """Add the next lines, up to `_STEP_BYTES`; return what the index covers then."""
        before = transaction.covered
        end, number, records, last_offset = before.size, before.lines, before.records, before.last_offset
        for line in read_lines(self._file, before.size):
            if not line.is_whole:
                break
            number += 1
            if isinstance(line.parsed, OcrRecord):
                transaction.add(line.offset, line.length, line.parsed)
                records += 1
            elif line.parsed is not None:
                transaction.add_bad(BadLine(number, line.offset, line.length, line.parsed))
            last_offset, end = line.offset, line.offset + line.length
            advance(line.length)
            if end - before.size >= _STEP_BYTES:
                break
        if end == before.size:
            return before
        last = self.read_line(last_offset, end - last_offset)
        covered = IndexState(end, number, records, self._head(end), last_offset, _digest(last))
        transaction.set_covered(covered)
        return covered

    def _check_for_appends(self) -> None:
        size = self._size()
        if size == self._seen_size:
            return
        if size < self._recent_end or size - self._indexed_end > RECENT_BYTES:
            return self.extend_index()
        try:
            self._read_recent()
        except FileChanged:
            self.rebuild_index()

    def _read_recent(self) -> None:
        """Store the rows of the lines appended since the last call, and the torn line after them, if any."""
        self._seen_size, self._torn = self._size(), None
        for line in read_lines(self._file, self._recent_end):
            if isinstance(line.parsed, OcrRecord):
                row = Row(line.offset, line.length, line.parsed.engine, line.parsed.engine_version, line.parsed.status)
                self._recent.setdefault(bytes.fromhex(line.parsed.sha256), []).append(row)
            if line.is_whole:
                self._recent_end = line.offset + line.length
            elif line.parsed is not None:
                self._torn = line.offset, line.length, f"a write that was cut short; {line.parsed}"

    def _query(self, query: Callable[[RecordIndex], _Result]) -> _Result:
        """Return the result of a query of the index, after repairing it if necessary."""
        while True:
            try:
                return query(self._index)
            except (sqlite3.DatabaseError, UnicodeDecodeError, TypeError) as error:
                self._repair_index(error)
                self.extend_index()

    def _check_index(self) -> None:
        if not self._query(lambda index: index.is_sound()):
            self._replace_damaged_index("records are missing from it")
            self.extend_index()

    def _repair_index(self, error: sqlite3.DatabaseError | UnicodeDecodeError | TypeError) -> None:
        """Rebuild a damaged index, or continue in memory if it is unreachable."""
        if self._index.in_memory_reason:
            raise error
        if isinstance(error, sqlite3.DatabaseError) and not is_damage(error):
            self._index.move_to_memory(str(error))
        else:
            self._replace_damaged_index(error)

    def _replace_damaged_index(self, reason: object) -> None:
        logging.warning("The index of %s is damaged (%s); it is rebuilt.", self.path, reason)
        self._replace_index()

    def _replace_index(self) -> None:
        self._index.close()
        if self._index_path:
            try:
                remove_index(self._index_path)
            except OSError:
                self._index_path = None  # it cannot be replaced: continue in memory
        self._index = RecordIndex(self._index_path, self._matches_file)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
