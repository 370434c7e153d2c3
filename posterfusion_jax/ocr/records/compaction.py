"""Remove superseded records from a record file, and describe what a record file contains."""

import contextlib
import os
import pathlib
from typing import IO, NamedTuple

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.records.index import SUFFIX, remove_index
from posterfusion_jax.ocr.records.indexed_file import IndexedRecordFile
from posterfusion_jax.ocr.records.locks import is_at, lock_if_free, sync_folder
from posterfusion_jax.posters.folder import Skipped

REJECTED_SUFFIX = ".rejected"
_TEMPORARY_SUFFIX = ".compacting"
_PACKED = (".gz", ".bz2", ".xz", ".zip")


class Compacted(NamedTuple):
    """Hold the result of a compaction."""

    kept: int  # records
    superseded: int  # records removed
    rejected: int  # bad lines, moved to the file's .rejected
    bytes_before: int
    bytes_after: int
    form: str = ""  # of the file, if it was not a plain file of JSON lines


class Contents(NamedTuple):
    """Hold the contents of a record file."""

    counts: dict[tuple[str, str, str], int]  # (engine, engine version, status) -> records
    images: int
    superseded: int  # records that a compaction removes
    skipped: list[Skipped]  # the lines that are not records


def describe(path: str | pathlib.Path) -> Contents:
    """Return the contents of a record file.

    Raises:
      InputError: the file is missing or cannot be read.
    """
    file = IndexedRecordFile(pathlib.Path(path))
    counts = file.counts()
    superseded = sum(counts.values()) - len(file.best_of_each_version())
    return Contents(counts, file.images(), superseded, file.skipped())


def compact(path: str | pathlib.Path) -> Compacted:
    """Keep, for each image, engine and engine version, the newest usable record, else the newest failure.

    Kept lines are copied byte for byte in their order; bad lines are moved to `<path>.rejected`. Lookups give the same results.
    A file in another form (`json_lines`) becomes one of JSON lines. Killed at any moment, it leaves either the whole old file
    or the whole new one; a half-written `<path>.compacting` is overwritten by the next compaction. A process that is reading
    the file continues to read the old one.

    Raises:
      InputError: the file is missing, cannot be replaced, cannot be locked, or another process is writing to it.
    """
    path = pathlib.Path(path).resolve()  # of a link, the target is replaced and not the link
    try:
        with path.open("r+b", buffering=0) as old:
            _lock(old, path)
            return _compact(path, old)
    except OSError as error:
        raise InputError(f"OCR records {str(path)!r} cannot be compacted: {error.strerror or error}.") from error


def _lock(file: IO[bytes], path: pathlib.Path) -> None:
    if not lock_if_free(file, exclusive=True) or not is_at(file, path):
        raise InputError(
            f"OCR records {str(path)!r} are being written or compacted by another process. Wait until it is done, or stop it, "
            "and start the command again."
        )


def _compact(path: pathlib.Path, old: IO[bytes]) -> Compacted:
    """Compact the file. The caller holds the lock, so no other process appends."""
    bytes_before = old.seek(0, os.SEEK_END)
    records = IndexedRecordFile(path, use_index=False)  # what is removed here must not depend on an index that may be wrong
    if records.form and path.suffix in _PACKED:
        raise InputError(
            f"OCR records {str(path)!r} are packed. Unpack the file (gzip -d, or the like) and start the command again."
        )
    if not records.form and bytes_before and os.pread(old.fileno(), 1, bytes_before - 1) != b"\n":
        old.write(b"\n")  # no process will complete that line
        records = IndexedRecordFile(path, use_index=False)
    total, kept, bad = len(records), records.best_of_each_version(), records.bad_lines()
    result = Compacted(len(kept), total - len(kept), len(bad), bytes_before, bytes_before, records.form)
    if not (result.superseded or result.rejected or result.form):
        return result
    temporary = path.with_name(path.name + _TEMPORARY_SUFFIX)
    with temporary.open("wb") as new:
        os.fchmod(new.fileno(), os.fstat(old.fileno()).st_mode & 0o7777)
        for offset, length in kept:
            new.write(records.read_line(offset, length))
        new.flush()
        os.fsync(new.fileno())
        result = result._replace(bytes_after=new.tell())
    rejected = b"".join(records.read_line(line.offset, line.length) for line in bad)
    _append_once(path.with_name(path.name + REJECTED_SUFFIX), rejected)
    # If it cannot be removed, the next process that opens the new file finds that the index belongs to another one.
    with contextlib.suppress(OSError):
        remove_index(path.with_name(path.name + SUFFIX))
    os.replace(temporary, path)
    sync_folder(path.parent)
    return result


def _append_once(path: pathlib.Path, data: bytes) -> None:
    """Append the data and sync it, unless it is there already from a compaction that was killed."""
    if not data or (path.exists() and path.read_bytes().endswith(data)):
        return
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
