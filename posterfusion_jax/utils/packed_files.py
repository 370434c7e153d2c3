"""Read text files that are packed by any common program, in any Unicode encoding, with any line ends.

The result is UTF-8 with line feeds. The content decides, not the name: a plain file named ".gz" is read as plain text.
"""

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import pathlib
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, cast

from posterfusion_jax.errors import InputError

READ_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, UnicodeDecodeError)
_BUFFER_BYTES = 1 << 16
_MOST_LAYERS = 3  # of packing, as in x.tsv.gz.gz
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"PK\x03\x04": "zip"}
_FOREIGN = {b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!": "rar"}
_MARKS = (
    (codecs.BOM_UTF8, ""),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_TEXT_NAME = re.compile(r"\.(tsv|csv|txt|jsonl?|ndjson)$", re.IGNORECASE)
_SHOWN_MEMBERS = 5


class OpenText(NamedTuple):
    """Hold a text file that is being read.

    Attributes:
      file: UTF-8 (as far as the file itself was) with line feeds, without a byte order mark.
      how: the conversions, such as "unpacked with gzip" or "converted from utf-16-le"; empty for plain UTF-8.
    """

    file: io.BufferedReader
    how: tuple[str, ...]


@contextlib.contextmanager
def open_text(path: pathlib.Path) -> Iterator[OpenText]:
    """Open a text file for sequential reading, in memory that does not depend on its size.

    Raises:
      InputError: it is packed by a program that is not known here, or an archive that does not hold exactly one text file.
      One of `READ_ERRORS`: it cannot be opened; also while it is read, where it is damaged.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(_buffered(path.open("rb", buffering=0)))
        how = []
        for _ in range(_MOST_LAYERS):
            head = _head(file)
            for magic, name in _FOREIGN.items():
                if head.startswith(magic):
                    raise InputError(f"{str(path)!r} is packed with {name}. Unpack it, or pack it with gzip.")
            kind = next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)
            if kind is None:
                break
            file = stack.enter_context(_buffered(_unpacked(file, kind, path)))
            how.append(f"unpacked with {kind}")
        encoding = _skip_mark(file)
        if encoding:
            how.append(f"converted from {encoding}")
            file = stack.enter_context(_buffered(_Recoded(file, encoding)))
        head = _head(file)
        if b"\r" in head[:-1] and b"\n" not in head:
            how.append("lines end with a carriage return")
            file = stack.enter_context(_buffered(_Recoded(file, None)))
        yield OpenText(file, tuple(how))


def _buffered(raw: Any) -> io.BufferedReader:
    return io.BufferedReader(raw, _BUFFER_BYTES)


def _head(file: io.BufferedReader) -> bytes:
    return file.peek(_BUFFER_BYTES)


def _unpacked(file: io.BufferedReader, kind: str, path: pathlib.Path) -> Any:
    if kind == "gzip":
        return gzip.GzipFile(fileobj=file, mode="rb")
    if kind == "bzip2":
        return bz2.BZ2File(file)
    if kind == "xz":
        return lzma.LZMAFile(file)
    archive = zipfile.ZipFile(cast(BinaryIO, file))
    names = archive.namelist()
    if "[Content_Types].xml" in names:
        raise InputError(f"{str(path)!r} is an Excel or Word document. Save it as CSV, or as text with tabs, in UTF-8.")
    own = [name for name in names if not name.startswith("__MACOSX/") and not pathlib.PurePath(name).name.startswith(".")]
    texts = [name for name in own if _TEXT_NAME.search(name)]
    if len(texts) != 1:
        listed = ", ".join(map(repr, names[:_SHOWN_MEMBERS])) + (" ..." if len(names) > _SHOWN_MEMBERS else "")
        raise InputError(
            f"{str(path)!r} is a zip archive with {len(texts)} text files, and one is needed (it holds {listed or 'nothing'}). "
            "Unpack it and put the right file in its place."
        )
    return archive.open(texts[0])


def _skip_mark(file: io.BufferedReader) -> str:
    """Skip a byte order mark and return the encoding of the text, "" for UTF-8."""
    head = _head(file)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            file.read(len(mark))
            return encoding
    pairs = head[:4096]
    pairs = pairs[: len(pairs) // 2 * 2]
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = pairs[first::2], pairs[1 - first :: 2]
        if len(zeros) >= 4 and zeros.count(0) > 0.8 * len(zeros) and others.count(0) < 0.2 * len(others):
            return encoding
    return ""


class _Recoded(io.RawIOBase):
    """Read a text of another encoding, or with carriage returns at line ends, as UTF-8 with line feeds."""

    def __init__(self, file: io.BufferedReader, encoding: str | None) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)() if encoding else None
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._left:
            data = self._file.read(_BUFFER_BYTES)
            if self._decoder is None:
                self._left = data.replace(b"\r", b"\n")
            else:
                self._left = self._decoder.decode(data, final=not data).encode("utf-8", "replace")
            if not data:
                break
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count
