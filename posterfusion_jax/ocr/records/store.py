"""OCR records on disk: append-only JSON lines, looked up by the hash of the image's bytes."""

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
    """Records of any number of engines, in any number of files. Those of later files count as newer.

    Only an index is held, on disk beside each file (`ocr.index`); a record is read when it is asked for. An engine may be
    named with its version: "gemini" is any, "gemini@2" those with `engine_version` "2".
    """

    def __init__(self) -> None:
        self._files: list[IndexedRecordFile] = []

    @property
    def skipped(self) -> list[Skipped]:
        """The lines that are no records, as "file:line" with the reason."""
        return [line for file in self._files for line in file.skipped()]

    def find(self, sha256: str, *, prefer: Sequence[str] = ()) -> OcrRecord | None:
        """The record that speaks for the image with this hash; None where there is none at all.

        Usable records come before failures, then those of engines that stand earlier in `prefer` (engines that it does
        not name come last), then newer ones.
        """

        def worth(row: Row) -> tuple[bool, int]:
            rank = next((k for k, engine in enumerate(prefer) if _is_by(row, engine)), len(prefer))
            return row.status in USABLE_STATUSES, -rank

        return self._best(sha256, lambda row: True, worth)

    def newest(self, sha256: str, engine: str) -> OcrRecord | None:
        """What an engine said last about an image, be it a failure."""
        return self._best(sha256, lambda row: _is_by(row, engine), lambda row: 0)

    def latest(self, engine: str) -> Iterator[OcrRecord]:
        """For each image the record that counts for an engine: its newest usable one, else its newest.

        They come in the order of the files and, within one, of their places in it, so the same files give the same order.

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
                worth = (usable(record), number)
                rivals = ((k, row) for k, other in others for row in other.rows_of(bytes.fromhex(record.sha256)))
                if all((row.status in USABLE_STATUSES, k) < worth for k, row in rivals if _is_by(row, engine)):
                    yield record

    def __len__(self) -> int:
        """How many records there are, the superseded ones included."""
        return sum(map(len, self._files))

    def __iter__(self) -> Iterator[OcrRecord]:
        """All records in the order in which they were appended, file by file."""
        for file in self._files:
            yield from file

    def _best(self, sha256: str, wanted: Callable[[Row], bool], worth: Callable[[Row], Any]) -> OcrRecord | None:
        """The newest of the wanted records that are worth most."""
        image = bytes.fromhex(sha256)
        while True:
            found = [(k, row) for k, file in enumerate(self._files) for row in file.rows_of(image) if wanted(row)]
            if not found:
                return None
            k, row = max(found, key=lambda place: (worth(place[1]), place[0], place[1].offset))
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
    """Opens record files for reading; where two records are equally good, the later file's counts.

    The files are not written; each gets an index beside it (`<file>.index`) where that can be written.

    Raises:
      InputError: a file is missing or cannot be read. Lines that are no records are left out and listed in `skipped`.
    """
    records = RecordReader()
    records._files = [IndexedRecordFile(pathlib.Path(path)) for path in paths]
    return records


class RecordWriter(RecordReader):
    """The record file of a run: looked up, and appended to.

    Nothing is written before `open` or the first `append` but an index, so a file in a read-only folder serves as long as
    it lacks nothing.

    One `append` is one write of one whole line, with the system when it returns: however the process ends, no record is
    lost of which `append` returned. Two runs at a time on one file do double work but no damage.

    A power cut is another matter. Lines reach the disk by fsync, with the first record after `sync_seconds` of quiet and
    then after every `sync_every` records or `sync_seconds`, whichever comes first (looked at when a record is appended),
    and when the store is closed. What was appended since the last fsync, that is at most `sync_every` - 1 records, may be
    gone or torn then, as far as the system has not written it of its own accord. Torn lines are told and left out.
    """

    def __init__(
        self,
        path: str | pathlib.Path,
        *,
        also_read: Iterable[str | pathlib.Path] = (),
        sync_every: int = 100,
        sync_seconds: float = 5.0,
    ) -> None:
        """Opens `also_read` (files of others, never written) and `path`, which need not exist yet, for reading.

        Args:
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
        """Opens the file for appending and mends its last line if a write was cut short. A second call does nothing.

        Waits while another process compacts the file; while it is open, no other can.

        Raises:
          InputError: the file or its folder cannot be written.
        """
        if self._file is not None:
            return
        if self._own is not None and self._own.form:
            raise InputError(
                f"ocr.store={str(self.path)!r} cannot be appended to: it is no file of JSON lines ({self._own.form}). Write it "
                f"as one first, with `{COMMAND}`. Or: {_FIX}"
            )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _open_to_append(self.path)
        except OSError as error:
            raise InputError(f"ocr.store={str(self.path)!r} cannot be written: {error.strerror or error}. {_FIX}") from error
        if self._own is None or not self._own.is_at(self.path):  # new, or compacted since it was opened for reading
            self._own = IndexedRecordFile(self.path)
            self._files = [*self._others, self._own]

    def append(self, record: OcrRecord) -> None:
        """Adds one record, which is found from now on.

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
            raise self._cannot_write(error) from error
        self._unsynced += 1
        if self._unsynced >= self._sync_every or time.monotonic() - self._synced_at >= self._sync_seconds:
            self.sync()

    def sync(self) -> None:
        """Puts on disk what was appended, so that a power cut cannot take it.

        Raises:
          InputError: the disk is full or broken.
        """
        if self._file is None or not self._unsynced:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._cannot_write(error) from error
        self._unsynced, self._synced_at = 0, time.monotonic()

    def close(self) -> None:
        """Puts on disk what was appended and closes the file for writing; lookups go on."""
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

    def _cannot_write(self, error: OSError) -> InputError:
        return InputError(
            f"ocr.store={str(self.path)!r} cannot be written: {error.strerror or error}. What it holds stays; make room and "
            f"start the same command again. Or: {_FIX}"
        )


def _append_line(file: IO[bytes], line: bytes) -> None:
    """One write. It begins a line of its own, whatever another process that was killed has left behind."""
    while True:
        size = os.fstat(file.fileno()).st_size
        data = line if _ends_line(file, size) else b"\n" + line
        if file.write(data) != len(data):
            raise OSError(errno.ENOSPC, "No space left on device, only a part of the line fitted")
        if _ends_line(file, file.tell() - len(line)):  # if not, that process was killed just now
            return


def _ends_line(file: IO[bytes], size: int) -> bool:
    return size == 0 or os.pread(file.fileno(), 1, size - 1) == b"\n"


def _open_to_append(path: pathlib.Path) -> IO[bytes]:
    """Opens the file under a shared lock, its last line ended. Raises OSError."""
    while True:
        is_new = not path.exists()
        file = path.open("a+b", buffering=0)
        try:
            if is_new:
                sync_folder(path.parent)
            _lock_and_mend(file, path)
            if is_at(file, path):  # and not what a compaction has just replaced
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _lock_and_mend(file: IO[bytes], path: pathlib.Path) -> None:
    try:
        alone = lock_if_free(file, alone=True)
    except OSError as error:
        logging.warning("%s cannot be locked (%s): do not compact it, and start no second run on it.", path, error.strerror)
        return _mend_last_line(file, path)
    if alone:  # else what looks like a torn line may be one that is being written
        _mend_last_line(file, path)
    share_lock(file, path)


def _mend_last_line(file: IO[bytes], path: pathlib.Path) -> None:
    """Ends the last line if it is a whole record and cuts it off if it is a torn one."""
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
        logging.warning("%s: the last line was a write that was cut short (%d bytes); it is cut off.", path, len(last))
    else:
        file.write(b"\n")
