"""A record file without what no longer counts, and a look at what a record file holds."""

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
    """What a compaction did."""

    kept: int  # records
    superseded: int  # records taken out
    rejected: int  # bad lines, moved to the file's .rejected
    bytes_before: int
    bytes_after: int
    form: str = ""  # what the file was where it was no plain file of JSON lines


class Contents(NamedTuple):
    """What a record file holds."""

    counts: dict[tuple[str, str, str], int]  # (engine, engine version, status) -> records
    images: int
    superseded: int  # records that a compaction takes out
    skipped: list[Skipped]  # the lines that are no records


def describe(path: str | pathlib.Path) -> Contents:
    """What a record file holds. Raises InputError where it is missing or cannot be read."""
    file = IndexedRecordFile(pathlib.Path(path))
    counts = file.counts()
    superseded = sum(counts.values()) - len(file.best_of_each_version())
    return Contents(counts, file.images(), superseded, file.skipped())


def compact(path: str | pathlib.Path) -> Compacted:
    """Keeps, for each image, engine and engine version, the newest usable record, else the newest failure.

    Kept lines stay as they are, byte for byte and in their order; bad lines go to `<path>.rejected`. What counts in lookups
    does not change. A file in another form (`json_lines`) becomes one of JSON lines. Killed at any moment, it leaves the old
    file or the new one, whole; a half-written `<path>.compacting` is overwritten by the next compaction. Whoever is reading the
    file goes on reading the old one.

    Raises:
      InputError: the file is missing, cannot be replaced, cannot be locked, or another process is writing to it.
    """
    path = pathlib.Path(path).resolve()  # of a link, the file is replaced and not the link
    try:
        with path.open("r+b", buffering=0) as old:
            _lock(old, path)
            return _compact(path, old)
    except OSError as error:
        raise InputError(f"OCR records {str(path)!r} cannot be compacted: {error.strerror or error}.") from error


def _lock(file: IO[bytes], path: pathlib.Path) -> None:
    if not lock_if_free(file, alone=True) or not is_at(file, path):
        raise InputError(
            f"OCR records {str(path)!r} are being written or compacted by another process. Wait until it is done, or stop it, "
            "and start the command again."
        )


def _compact(path: pathlib.Path, old: IO[bytes]) -> Compacted:
    """The caller holds the lock, so nobody appends."""
    bytes_before = old.seek(0, os.SEEK_END)
    records = IndexedRecordFile(path, use_index=False)  # what is thrown away here must not depend on an index that may be wrong
    if records.form and path.suffix in _PACKED:
        raise InputError(
            f"OCR records {str(path)!r} are packed. Unpack the file (gzip -d, or the like) and start the command again."
        )
    if not records.form and bytes_before and os.pread(old.fileno(), 1, bytes_before - 1) != b"\n":
        old.write(b"\n")  # nobody is going to end that line
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
    # Where it cannot be removed, whoever opens the new file sees that the index is of another one.
    with contextlib.suppress(OSError):
        remove_index(path.with_name(path.name + SUFFIX))
    os.replace(temporary, path)
    sync_folder(path.parent)
    return result


def _append_once(path: pathlib.Path, data: bytes) -> None:
    """Appends it for good, unless it is there already, from a compaction that was killed."""
    if not data or (path.exists() and path.read_bytes().endswith(data)):
        return
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
