"""Read and parse the lines of an open record file, from any position."""

import io
import os
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from posterfusion_jax.ocr.records.record import OcrRecord, from_json

_BUFFER_BYTES = 1 << 16


class RecordLine(NamedTuple):
    """Hold a line of a record file.

    Attributes:
      offset: of its first byte in the file.
      length: in bytes, including its line break.
      parsed: a record, the fault of the line, or None for a blank line.
      is_whole: it is complete, except perhaps for its line break.
    """

    offset: int
    length: int
    parsed: OcrRecord | str | None
    is_whole: bool


class FileChanged(Exception):
    """Signal that the file was changed other than by appending."""


def read_lines(file: IO[bytes], start: int) -> Iterator[RecordLine]:
    """Yield the lines from `start` on. The last one may lack its line break.

    Raises:
      FileChanged: the last line before `start` had no line break, and is now continued by something else.
    """
    lines = iter(io.BufferedReader(_OffsetReader(file.fileno(), start), _BUFFER_BYTES))
    if start and os.pread(file.fileno(), 1, start - 1) != b"\n":
        rest = next(lines, b"")
        if rest.strip():
            raise FileChanged
        start += len(rest)
    for line in lines:
        parsed, ended = _parse(line), line.endswith(b"\n")
        yield RecordLine(start, len(line), parsed, ended or isinstance(parsed, OcrRecord))
        if not ended:
            return  # the rest may be written right now, and would look like a separate line
        start += len(line)


def _parse(line: bytes) -> OcrRecord | str | None:
    if not line.strip():
        return None
    try:
        return from_json(line.decode())
    except ValueError as error:
        return str(error)


class _OffsetReader(io.RawIOBase):
    """Read an open file from a position of its own, which no other reader moves."""

    def __init__(self, descriptor: int, start: int) -> None:
        self._descriptor, self._place = descriptor, start

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        count = os.preadv(self._descriptor, [buffer], self._place)
        self._place += count
        return count
