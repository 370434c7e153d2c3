"""Store OCR records on disk as append-only JSON lines, looked up by the hash of the image's bytes."""

import errno
import logging
import os
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.records.index import Row
from posterfusion_jax.ocr.records.indexed_file import IndexedRecordFile
from posterfusion_jax.ocr.records.json_lines import COMMAND
from posterfusion_jax.ocr.records.locks import is_at, lock_if_free, share_lock, sync_folder
from posterfusion_jax.ocr.records.record import USABLE_STATUSES, OcrRecord, from_json, to_json, usable
from posterfusion_jax.posters.folder import Skipped

_FIX = "Choose a file that you may write with --config.ocr.store=PATH."
_BLOCK = 1 << 16


class RecordReader:
    """Read records of any number of engines, in any number of files. Those of later files count as newer.

    Only an index is held, on disk next to each file (`ocr.records.index`); a record is read on request. An engine may be
    named with its version: "gemini" is any, "gemini@2" those with `engine_version` "2".
    """

    def __init__(self) -> None:
        self._files: list[IndexedRecordFile] = []

    @property
    def skipped(self) -> list[Skipped]:
        """Return the lines that are not records, as "file:line" with the reason."""
        return [line for file in self._files for line in file.skipped()]

    def find(self, sha256: str, *, prefer: Sequence[str] = ()) -> OcrRecord | None:
        """Return the record that counts for the image with this hash; None if there is none at all.

        Usable records come before failures, then those of engines that are earlier in `prefer` (engines that it does
        not name come last), then newer ones.
        """

        def rank(row: Row) -> tuple[bool, int]:
            preference = next((k for k, engine in enumerate(prefer) if _is_by(row, engine)), len(prefer))
            return row.status in USABLE_STATUSES, -preference

        return self._best(sha256, lambda row: True, rank)

    def newest(self, sha256: str, engine: str) -> OcrRecord | None:
        """Return an engine's newest record of an image, which may be a failure."""
        return self._best(sha256, lambda row: _is_by(row, engine), lambda row: 0)

    def latest(self, engine: str) -> Iterator[OcrRecord]:
        """Yield for each image the record that counts for an engine: its newest usable one, else its newest.

        They come in the order of the files and, within one, of their positions, so the same files give the same order.

        Raises:
          InputError: a file was changed, other than by appending, while it was indexed.
        """
        for number, file in enumerate(self._files):
            others = [(k, other) for k, other in enumerate(self._files) if other is not file]
            name, _, version = engine.partition("@")
            for offset, length in file.best_of_each_image(name, version or None):
                record = file.read(offset, length)
                if record is None:
                    file.rebuild_index()
                    raise InputError(f"OCR records {str(file.path)!r} were changed at byte {offset}. Start the command again.")
                rank = (usable(record), number)
                other_rows = ((k, row) for k, other in others for row in other.rows_of(bytes.fromhex(record.sha256)))
                if all((row.status in USABLE_STATUSES, k) < rank for k, row in other_rows if _is_by(row, engine)):
                    yield record

    def __len__(self) -> int:
        """Return the number of records, including superseded ones."""
        return sum(map(len, self._files))

    def __iter__(self) -> Iterator[OcrRecord]:
        """Yield all records in the order in which they were appended, file by file."""
        for file in self._files:
            yield from file

    def _best(self, sha256: str, wanted: Callable[[Row], bool], rank: Callable[[Row], Any]) -> OcrRecord | None:
        """Return the newest of the wanted records of the highest rank."""
        image = bytes.fromhex(sha256)
        while True:
            found = [(k, row) for k, file in enumerate(self._files) for row in file.rows_of(image) if wanted(row)]
            if not found:
                return None
            k, row = found[0] if len(found) == 1 else max(found, key=lambda at: (rank(at[1]), at[0], at[1].offset))
            record = self._files[k].read(row.offset, row.length)
            if record is not None and (sha256, row[2:]) == (
                record.sha256,
                (record.engine, record.engine_version, record.status),
            ):
                return record
            self._files[k].rebuild_index()


def _is_by(row: Row, engine: str) -> bool:
    return engine in (row.engine, f"{row.engine}@{row.version}")


def load_records(paths: Iterable[str | pathlib.Path]) -> RecordReader:
    """Open record files for reading; of two equally good records, the later file's counts.

    The files are not written; each gets an index next to it (`<file>.index`) if that can be written. Lines that are not records
    are listed in `skipped`.

    Raises:
      InputError: a file is missing or cannot be read.
    """
    records = RecordReader()
    records._files = [IndexedRecordFile(pathlib.Path(path)) for path in paths]
    return records


class RecordWriter(RecordReader):
    """Look up the records of a run, and append to its record file.

    Only an index is written before `open` or the first `append`, so a file in a read-only folder can be used as long as
    no record is missing from it.

    One `append` is one write of one whole line, which the system has when it returns: however the process ends, no record is
    lost for which `append` returned. Two simultaneous runs on one file do double work but no damage.

    A power failure may lose more. Lines reach the disk by fsync, with the first record after `sync_seconds` without one and
    then after every `sync_every` records or `sync_seconds`, at the earlier of the two (checked when a record is appended),
    and when the store is closed. The records appended since the last fsync, that is at most `sync_every` - 1, may be
    missing or torn after it, unless the system wrote them by itself. Torn lines are reported and skipped.
    """

    def __init__(
        self,
        path: str | pathlib.Path,
        *,
        also_read: Iterable[str | pathlib.Path] = (),
        sync_every: int = 100,
        sync_seconds: float = 5.0,
    ) -> None:
        """Open `also_read` (files of others, never written) and `path`, which need not exist yet, for reading.

        Args:
          path: of the run's own file.
          also_read: further files.
          sync_every: records between two fsyncs, at most; 1 for an fsync with each.
          sync_seconds: between two fsyncs, at most, while records are appended.

        Raises:
          InputError: a file cannot be read, or one of `also_read` is missing.
        """
        super().__init__()
        self.path = pathlib.Path(path)
        others = [pathlib.Path(other) for other in also_read]
        self._others = [IndexedRecordFile(other) for other in others if other.resolve() != self.path.resolve()]
        self._own = IndexedRecordFile(self.path) if self.path.exists() else None
        self._files = [*self._others, *([self._own] if self._own is not None else [])]
        self._file: IO[bytes] | None = None
        self._sync_every, self._sync_seconds = sync_every, sync_seconds
        self._unsynced, self._synced_at = 0, float("-inf")

    def open(self) -> None:
        """Open the file for appending and repair its last line if a write was cut short. A second call does nothing.

        Waits while another process compacts the file; while it is open, no other can.

        Raises:
          InputError: the file or its folder cannot be written.
        """
        if self._file is not None:
            return
        if self._own is not None and self._own.form:
            raise InputError(
                f"ocr.store={str(self.path)!r} cannot be appended to: it is not a file of JSON lines ({self._own.form}). "
                f"Rewrite it as one first, with `{COMMAND}`. Or: {_FIX}"
            )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _open_to_append(self.path)
        except OSError as error:
            raise InputError(f"ocr.store={str(self.path)!r} cannot be written: {error.strerror or error}. {_FIX}") from error
        if self._own is None or not self._own.is_at(self.path):  # new, or compacted since it was opened for reading
            self._own = IndexedRecordFile(self.path)
            self._files = [*self._others, self._own]
        self._own.expect_change()

    def append(self, record: OcrRecord) -> None:
        """Append one record, which lookups find from now on.

        Raises:
          InputError: it cannot be written, for instance on a full disk.
        """
        self.open()
        assert self._file is not None
        # A lone surrogate has no UTF-8 form; as a backslash escape it is valid JSON.
        line = (to_json(record) + "\n").encode(errors="backslashreplace")
        try:
            _append_line(self._file, line)
        except OSError as error:
            raise self._write_error(error) from error
        self._unsynced += 1
        if self._unsynced >= self._sync_every or time.monotonic() - self._synced_at >= self._sync_seconds:
            self.sync()

    def sync(self) -> None:
        """Sync the appended records to disk, so that a power failure cannot lose them.

        Raises:
          InputError: the disk is full or broken.
        """
        if self._file is None or not self._unsynced:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._write_error(error) from error
        self._unsynced, self._synced_at = 0, time.monotonic()

    def close(self) -> None:
        """Sync the appended records and close the file for writing; lookups still work."""
        if self._file is None:
            return
        try:
            self.sync()
        finally:
            self._file.close()
            self._file = None
        if self._own is not None:
            self._own.extend_index()

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _write_error(self, error: OSError) -> InputError:
        return InputError(
            f"ocr.store={str(self.path)!r} cannot be written: {error.strerror or error}. Its records are kept; make room and "
            f"start the same command again. Or: {_FIX}"
        )


def _append_line(file: IO[bytes], line: bytes) -> None:
    """Append a line with one write, as a separate line even if another process was killed in the middle of its own."""
    while True:
        size = os.fstat(file.fileno()).st_size
        data = line if _ends_line(file, size) else b"\n" + line
        if file.write(data) != len(data):
            raise OSError(errno.ENOSPC, "No space left on device, only a part of the line fitted")
        if _ends_line(file, file.tell() - len(line)):  # otherwise that process was killed just now
            return


def _ends_line(file: IO[bytes], size: int) -> bool:
    return size == 0 or os.pread(file.fileno(), 1, size - 1) == b"\n"


def _open_to_append(path: pathlib.Path) -> IO[bytes]:
    """Open the file under a shared lock, with its last line ended.

    Raises:
      OSError: it cannot be opened.
    """
    while True:
        is_new = not path.exists()
        file = path.open("a+b", buffering=0)
        try:
            if is_new:
                sync_folder(path.parent)
            _lock_and_repair(file, path)
            if is_at(file, path):  # and not a file that a compaction has just replaced
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _lock_and_repair(file: IO[bytes], path: pathlib.Path) -> None:
    try:
        exclusive = lock_if_free(file, exclusive=True)
    except OSError as error:
        logging.warning("%s cannot be locked (%s): do not compact it, and start no other run on it.", path, error.strerror)
        return _repair_last_line(file, path)
    if exclusive:  # otherwise an apparently torn line may be one that is being written
        _repair_last_line(file, path)
    share_lock(file, path)


def _repair_last_line(file: IO[bytes], path: pathlib.Path) -> None:
    """End the last line if it is a whole record and remove it if it is torn."""
    size = os.fstat(file.fileno()).st_size
    last, length = b"", 0
    while length < size and b"\n" not in last:
        length = min(size, max(_BLOCK, 2 * length))
        last = os.pread(file.fileno(), length, size - length)
    last = last.rpartition(b"\n")[2]
    if not last:
        return
    try:
        from_json(last.decode())
    except ValueError:
        file.truncate(size - len(last))
        logging.warning("%s: the last line was a write that was cut short (%d bytes); it is removed.", path, len(last))
    else:
        file.write(b"\n")
