"""OCR records in another form than JSON lines (packed, UTF-16, a JSON array, indented), rewritten as JSON lines to be read."""

import codecs
import io
import json
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO, NamedTuple

from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.packed_files import READ_ERRORS, open_text

COMMAND = "python launch/ocr_records.py compact FILE"  # writes the file again as JSON lines
_CHUNK = 1 << 16
_LONGEST_VALUE = 64 << 20  # characters, from which on a text that is no JSON value is given up
_BETWEEN = re.compile("[ \\t\\r\\n,\\[\\]\ufeff\\0]*")
_ARRAY = re.compile(rb"\s*\[\s*\{")
_INDENTED = re.compile(rb"\s*\{[ \t]*\r?\n")
_decode = json.JSONDecoder().raw_decode


class Rewritten(NamedTuple):
    """A file of records as JSON lines.

    Attributes:
      file: nameless and temporary.
      how: what the original is, in words.
    """

    file: IO[bytes]
    how: str


def rewrite_as_lines(path: pathlib.Path) -> Rewritten | None:
    """Returns a copy of a record file as JSON lines; None where the file itself is in that form.

    Raises:
      InputError: it is packed and damaged, or an archive without exactly one text file.
      OSError: it cannot be opened.
    """
    path.open("rb").close()  # a file that is missing is not one that is damaged
    try:
        with open_text(path) as text:
            form = _form(text.file.peek(_CHUNK))
            if not text.how and not form:
                return None
            copy = tempfile.TemporaryFile(buffering=_CHUNK)  # noqa: SIM115 (it lives as long as its reader)
            if form:
                copy.writelines(value + b"\n" for value in _values(text.file))
            else:
                shutil.copyfileobj(text.file, copy)
            copy.flush()
            return Rewritten(copy, ", ".join([*text.how, *([form] if form else [])]))
    except READ_ERRORS as error:
        raise InputError(
            f"OCR records {str(path)!r} cannot be read to their end: {error}. Unpack or copy the file again."
        ) from error


def _form(head: bytes) -> str:
    """What a text is that begins like this, "" for JSON lines."""
    if _ARRAY.match(head):
        return "a JSON array"
    return "indented JSON" if _INDENTED.match(head) else ""


def _values(file: io.BufferedReader) -> Iterator[bytes]:
    """The values of a JSON text, each on one line; what is no JSON comes as it is, up to the end of its line."""
    text, at, ended = "", 0, False
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    while True:
        between = _BETWEEN.match(text, at)
        at = between.end() if between else at
        try:
            value_end = _decode(text, at)[1] if at < len(text) else at
        except (ValueError, RecursionError):
            value_end = None
        if not ended and (value_end is None or value_end == len(text)) and len(text) - at < _LONGEST_VALUE:
            data = file.read(max(_CHUNK, len(text) - at))
            text, at, ended = text[at:] + decoder.decode(data, final=not data), 0, not data
            continue
        if at >= len(text):
            return
        if value_end is None:
            value_end = (text.find("\n", at) + 1) or len(text)
        # A line break in a JSON string is escaped, so each of these is between two parts of the value.
        yield text[at:value_end].strip().replace("\r", " ").replace("\n", " ").encode("utf-8", "surrogateescape")
        at = value_end
