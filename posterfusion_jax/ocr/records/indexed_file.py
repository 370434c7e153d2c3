"""One file of records, JSON lines: found by the image's hash through an index, and read when they are asked for."""

import hashlib
import io
import logging
import os
import pathlib
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

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
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.utils.progress import progress_bar

RECENT_BYTES = 1 << 20  # of lines that are remembered here before they go into the index, which costs a write to disk
_STEP_BYTES = 256 << 20  # indexed in one transaction: what a kill can cost while a file is indexed for the first time
_HEAD_BYTES = 4096
_BUFFER_BYTES = 1 << 16
_SLOW_S = 2.0

_Answer = TypeVar("_Answer")


class IndexedRecordFile:
    """The records of one file that others may be appending to. It never writes to that file, only its index beside it.

    It stays with the file that it opened, even if another one takes that name.

    Attributes:
      path: of the JSON lines; the index is `path` with ".index" at its end.
      form: what the file is where it is no plain file of JSON lines, such as "unpacked with gzip", else "". Then a copy of it
        is read, with an index in memory, and what others append is not seen.
    """

    def __init__(self, path: pathlib.Path, *, use_index: bool = True) -> None:
        """Opens the file and reads what its index lacks.

        Args:
          use_index: False reads the whole file into an index in memory, whatever lies beside it.

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
            logging.warning("%s is read through a copy: %s. To write it as JSON lines: %s", path, self.form, COMMAND)
            use_index = False
        index_path = path.with_name(path.name + SUFFIX)
        # root may write into any folder, but one without a single permission to write is meant to stay as it is
        may_write = index_path.exists() or path.parent.stat().st_mode & 0o222
        self._index_path = index_path if use_index and may_write else None
        self._use_index = use_index
        self._index = RecordIndex(self._index_path, self._matches_file)
        weakref.finalize(self, self._file.close)
        self._recent: dict[bytes, list[Row]] = {}  # by image: records that the index lacks
        self._indexed_end, self._recent_end = 0, 0  # where their lines begin and end
        self._torn: tuple[int, int, str] | None = None  # where the beginning of a line lies that may come then, and why
        self._seen_size = 0  # of the file, when it was last looked at
        self.extend_index()

    def is_at(self, path: pathlib.Path) -> bool:
        """Whether `path` is the file that is open here."""
        return is_at(self._file, path)

    def rows_of(self, image: bytes) -> list[Row]:
        """The records of the image with this sha256, those included that another process has just appended."""
        self._look_for_more()
        found = self._ask(lambda index: index.rows_of(image))
        if not found:  # a damaged tree may lead past a record that is there
            self._check_index()
            found = self._ask(lambda index: index.rows_of(image))
        return found + self._recent.get(image, [])

    def read(self, offset: int, length: int) -> OcrRecord | None:
        """The record that lies there; None if none does, because the file was changed other than by appending."""
        try:
            if not 0 <= offset < offset + length <= self._size():
                return None
            return from_json(os.pread(self._file.fileno(), length, offset).decode())
        except (ValueError, TypeError):  # the latter where a damaged index has no number for the place
            return None

    def read_line(self, offset: int, length: int) -> bytes:
        """The bytes of a line, and nothing of the next."""
        return os.pread(self._file.fileno(), length, offset)

    def best_of_each_image(self, engine: str, version: str | None) -> ByteRanges:
        """`RecordIndex.best_of_each_image` of the file as it is now."""
        self.extend_index()
        self._check_index()
        return self._ask(lambda index: index.best_of_each_image(engine, version))

    def best_of_each_version(self) -> ByteRanges:
        """`RecordIndex.best_of_each_version` of the file as it is now."""
        self.extend_index()
        self._check_index()
        return self._ask(lambda index: index.best_of_each_version())

    def counts(self) -> dict[tuple[str, str, str], int]:
        """(engine, engine version, status) -> records."""
        self.extend_index()
        return self._ask(lambda index: index.counts())

    def images(self) -> int:
        """How many images have a record."""
        self.extend_index()
        return self._ask(lambda index: index.images())

    def bad_lines(self) -> list[BadLine]:
        """The lines that are no records, a torn last one included."""
        self.extend_index()
        bad = self._ask(lambda index: index.bad_lines())
        if self._torn:
            bad.append(BadLine(self._ask(lambda index: index.covered()).lines + 1, *self._torn))
        return bad

    def skipped(self) -> list[Skipped]:
        """The same for people, as "file:line" with the reason."""
        return [Skipped(f"{self.path}:{bad.line}", bad.reason) for bad in self.bad_lines()]

    def __len__(self) -> int:
        """How many records there are, the superseded ones included."""
        self.extend_index()
        return self._ask(lambda index: index.covered()).records + sum(map(len, self._recent.values()))

    def __iter__(self) -> Iterator[OcrRecord]:
        """All records in the order of the file."""
        for _, _, parsed in self._lines(0):
            if isinstance(parsed, OcrRecord):
                yield parsed

    def extend_index(self) -> None:
        """Puts what was appended since the last time into the index; a torn last line stays out."""
        started = time.monotonic()
        covered = self._ask(lambda index: index.covered())
        size = self._size()
        if size < covered.size:
            return self.rebuild_index()
        with progress_bar(
            total=size - covered.size,
            desc=f"Indexing {self.path.name}",
            unit="B",
            unit_scale=True,
            delay=_SLOW_S,
            leave=False,
        ) as bar:
            while covered.size < size:
                try:
                    with self._index.extending(much=size - covered.size >= covered.size) as extension:
                        reached = self._extend(extension, bar.update)
                except (sqlite3.DatabaseError, UnicodeDecodeError, TypeError) as error:
                    self._repair_index(error)
                    covered = self._index.covered()
                    continue
                except _Changed:
                    return self.rebuild_index()
                if reached == covered:
                    break
                covered = reached
        self._recent, self._indexed_end, self._recent_end = {}, covered.size, covered.size
        self._read_recent()
        if self._use_index and self._index.in_memory_because and time.monotonic() - started > _SLOW_S:
            logging.warning(
                "The index of %s cannot be kept beside it (%s): it is made again, in memory, each time the file is opened.",
                self.path,
                self._index.in_memory_because,
            )

    def rebuild_index(self) -> None:
        """Makes another index, because the file was changed other than by appending."""
        logging.warning("%s was changed other than by appending; it is indexed anew.", self.path)
        self._replace_index()
        self.extend_index()

    def _matches_file(self, covered: IndexState) -> bool:
        """Whether the file begins as the one did that was indexed, and has the last indexed line at its place."""
        if self._size() < covered.size:
            return False
        last = self.read_line(covered.last_offset, covered.size - covered.last_offset)
        return self._head(covered.size) == covered.head and _digest(last) == covered.last

    def _head(self, size: int) -> bytes:
        return _digest(self.read_line(0, min(size, _HEAD_BYTES)))

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _lines(self, start: int) -> Iterator[tuple[int, bytes, OcrRecord | str | None]]:
        """The lines from there on: where each begins, its bytes, and what `_parse` says. The last one may lack its end.

        Raises:
          _Changed: the last line before `start` had no end, and now has another one than a line break.
        """
        lines = iter(io.BufferedReader(_From(self._file.fileno(), start), _BUFFER_BYTES))
        if start and self.read_line(start - 1, 1) != b"\n":
            rest = next(lines, b"")
            if rest.strip():
                raise _Changed
            start += len(rest)
        for line in lines:
            yield start, line, _parse(line)
            if not line.endswith(b"\n"):
                return  # its rest may just be arriving, and would look like a line of its own
            start += len(line)

    def _extend(self, extension: IndexTransaction, advance: Callable[[int], object]) -> IndexState:
        """Adds the next lines, up to `_STEP_BYTES`; returns what the index covers then."""
        was = extension.covered
        end, number, records, last_offset = was.size, was.lines, was.records, was.last_offset
        for offset, line, parsed in self._lines(was.size):
            if not _is_whole(line, parsed):
                break
            number += 1
            if isinstance(parsed, OcrRecord):
                extension.add(offset, len(line), parsed)
                records += 1
            elif parsed is not None:
                extension.add_bad(BadLine(number, offset, len(line), parsed))
            last_offset, end = offset, offset + len(line)
            advance(len(line))
            if end - was.size >= _STEP_BYTES:
                break
        if end == was.size:
            return was
        last = self.read_line(last_offset, end - last_offset)
        covered = IndexState(end, number, records, self._head(end), last_offset, _digest(last))
        extension.set_covered(covered)
        return covered

    def _look_for_more(self) -> None:
        size = self._size()
        if size == self._seen_size:
            return
        if size < self._recent_end or size - self._indexed_end > RECENT_BYTES:
            return self.extend_index()
        try:
            self._read_recent()
        except _Changed:
            self.rebuild_index()

    def _read_recent(self) -> None:
        """Remembers the lines that were appended since the last time, and what comes after them."""
        self._seen_size, self._torn = self._size(), None
        for offset, line, parsed in self._lines(self._recent_end):
            if isinstance(parsed, OcrRecord):
                row = Row(offset, len(line), parsed.engine, parsed.engine_version, parsed.status)
                self._recent.setdefault(bytes.fromhex(parsed.sha256), []).append(row)
            if _is_whole(line, parsed):
                self._recent_end = offset + len(line)
            elif parsed is not None:
                self._torn = offset, len(line), f"a write that was cut short; {parsed}"

    def _ask(self, question: Callable[[RecordIndex], _Answer]) -> _Answer:
        """The index's answer, after mending it if need be."""
        while True:
            try:
                return question(self._index)
            except (sqlite3.DatabaseError, UnicodeDecodeError, TypeError) as error:
                self._repair_index(error)
                self.extend_index()

    def _check_index(self) -> None:
        if not self._ask(lambda index: index.is_sound()):
            self._index_is_damaged("records are missing in it")
            self.extend_index()

    def _repair_index(self, error: sqlite3.DatabaseError | UnicodeDecodeError | TypeError) -> None:
        """Makes a damaged index anew, or goes on in memory if it is out of reach."""
        if self._index.in_memory_because:
            raise error
        if isinstance(error, sqlite3.DatabaseError) and not is_damage(error):
            self._index.move_to_memory(str(error))
        else:
            self._index_is_damaged(error)

    def _index_is_damaged(self, why: object) -> None:
        logging.warning("The index of %s is damaged (%s); it is made anew.", self.path, why)
        self._replace_index()

    def _replace_index(self) -> None:
        self._index.close()
        if self._index_path:
            try:
                remove_index(self._index_path)
            except OSError:
                self._index_path = None  # what cannot be removed cannot be replaced: from here on in memory
        self._index = RecordIndex(self._index_path, self._matches_file)


class _Changed(Exception):
    """The file was changed other than by appending."""


class _From(io.RawIOBase):
    """Reads an open file from a place of its own on, which no other reader moves."""

    def __init__(self, descriptor: int, start: int) -> None:
        self._descriptor, self._place = descriptor, start

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        count = os.preadv(self._descriptor, [buffer], self._place)
        self._place += count
        return count


def _parse(line: bytes) -> OcrRecord | str | None:
    """A record; what is wrong with the line; or None for a blank one."""
    if not line.strip():
        return None
    try:
        return from_json(line.decode())
    except ValueError as error:
        return str(error)


def _is_whole(line: bytes, parsed: OcrRecord | str | None) -> bool:
    """Whether nothing of the line is to come, other than its end."""
    return line.endswith(b"\n") or isinstance(parsed, OcrRecord)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
