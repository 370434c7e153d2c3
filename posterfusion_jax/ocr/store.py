"""OCR records on disk: append-only JSON lines, looked up by the hash of the image's bytes."""

import os
import pathlib
from collections.abc import Iterable, Iterator

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.record import OcrRecord, from_json, to_json, usable
from posterfusion_jax.poster_folder import Skipped

_FIX = "Choose a file that you may write with --config.ocr.store=PATH."


class Records:
    """Records of any number of engines, read from any number of files.

    Attributes:
      skipped: the lines that are no records, as "file:line" with the reason.
    """

    def __init__(self) -> None:
        self.skipped: list[Skipped] = []
        self._by_image: dict[str, list[OcrRecord]] = {}
        self._count = 0

    def find(self, sha256: str, *, engine: str | None = None) -> OcrRecord | None:
        """The record that speaks for the image with this hash.

        A usable record of `engine` comes first, then a usable one of any engine, then an unusable one of `engine` (of
        any engine where none is preferred). Among equals the newest counts: the one that was read or appended last.
        """

        def is_own(record: OcrRecord) -> bool:
            return engine is None or record.engine == engine

        newest_first = reversed(self._by_image.get(sha256, ()))
        candidates = [record for record in newest_first if usable(record) or is_own(record)]
        return max(candidates, key=lambda record: (usable(record), is_own(record)), default=None)

    def __len__(self) -> int:
        """How many records there are, the superseded ones included."""
        return self._count

    def __iter__(self) -> Iterator[OcrRecord]:
        """All records, those of one image together, oldest first."""
        for records in self._by_image.values():
            yield from records

    def _add(self, record: OcrRecord) -> None:
        self._by_image.setdefault(record.sha256, []).append(record)
        self._count += 1

    def _read(self, path: pathlib.Path) -> None:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"OCR records {str(path)!r} cannot be read: {error.strerror or error}.") from error
        *lines, unended = data.split(b"\n")
        for number, line in enumerate([*lines, unended], start=1):
            if line.strip():
                try:
                    self._add(from_json(line.decode()))
                except ValueError as error:
                    torn = "a write that was cut short; " if number > len(lines) else ""
                    self.skipped.append(Skipped(f"{path}:{number}", f"{torn}{error}"))


def load_records(paths: Iterable[str | pathlib.Path]) -> Records:
    """Reads record files without writing anything; where two records are equally good, the later file's counts.

    Raises:
      InputError: a file is missing or cannot be read. Lines that are no records are left out and listed in `skipped`.
    """
    records = Records()
    for path in paths:
        records._read(pathlib.Path(path))
    return records


class RecordStore(Records):
    """The record file of a run: read at once, appended to.

    Nothing is written before `open` or the first `append`, so a file in a read-only folder serves as long as it lacks
    nothing. One `append` is one write of one whole line, on disk when it returns: whoever is killed loses at most the
    record being written, and two runs at a time on one file do double work but no damage.
    """

    def __init__(self, path: str | pathlib.Path, *, also_read: Iterable[str | pathlib.Path] = ()) -> None:
        """Reads `also_read` (files of others, never written) and then `path`, which need not exist yet.

        Raises:
          InputError: a file cannot be read, or one of `also_read` is missing.
        """
        super().__init__()
        self.path = pathlib.Path(path)
        for other in map(pathlib.Path, also_read):
            if other.resolve() != self.path.resolve():
                self._read(other)
        if self.path.exists():
            self._read(self.path)
        self._file = None

    def open(self) -> None:
        """Opens the file for appending and mends its last line if a write was cut short. A second call does nothing.

        Raises:
          InputError: the file or its folder cannot be written.
        """
        if self._file is not None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                _mend_last_line(self.path)
            self._file = self.path.open("ab", buffering=0)
        except OSError as error:
            raise InputError(f"ocr.store={str(self.path)!r} cannot be written: {error.strerror or error}. {_FIX}") from error

    def append(self, record: OcrRecord) -> None:
        """Adds one record, on disk and here.

        Raises:
          InputError: it cannot be written, for instance on a full disk.
        """
        self.open()
        assert self._file is not None
        # A lone surrogate has no UTF-8 form; as a backslash escape it is valid JSON.
        line = (to_json(record) + "\n").encode(errors="backslashreplace")
        try:
            if self._file.write(line) != len(line):
                raise OSError("only a part of the line fitted")
            os.fsync(self._file.fileno())
        except OSError as error:
            raise InputError(
                f"ocr.store={str(self.path)!r} cannot be written: {error.strerror or error}. What it holds stays; make "
                f"room and start the same command again. Or: {_FIX}"
            ) from error
        self._add(record)

    def close(self) -> None:
        """Closes the file; what was read stays available."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> "RecordStore":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _mend_last_line(path: pathlib.Path) -> None:
    """Ends the last line if it is a whole record and cuts it off if it is a torn one (already listed as skipped)."""
    data = path.read_bytes()
    if not data or data.endswith(b"\n"):
        return
    start = data.rfind(b"\n") + 1
    try:
        from_json(data[start:].decode())
    except ValueError:
        os.truncate(path, start)
    else:
        with path.open("ab") as file:
            file.write(b"\n")
