"""Rewrite OCR records in another form (packed, UTF-16, a JSON array, indented) as JSON lines, to read them."""

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
_LONGEST_VALUE = 64 << 20  # characters without a complete JSON value after which parsing gives up
_SEPARATORS = re.compile("[ \\t\\r\\n,\\[\\]\ufeff\\0]*")
_ARRAY = re.compile(rb"\s*\[\s*\{")
_INDENTED = re.compile(rb"\s*\{[ \t]*\r?\n")
_decode = json.JSONDecoder().raw_decode


class Rewritten(NamedTuple):
    """Hold a file of records rewritten as JSON lines.

    Attributes:
      file: nameless and temporary.
      how: the form of the original, in words.
    """

    file: IO[bytes]
    how: str


def rewrite_as_lines(path: pathlib.Path) -> Rewritten | None:
    """Return a copy of a record file as JSON lines; None if the file itself is in that form.

    Raises:
      InputError: it is packed and damaged, or an archive without exactly one text file.
      OSError: it cannot be opened.
    """
    path.open("rb").close()  # a missing file must not be reported as damaged
    try:
        with open_text(path) as text:
            form = _form(text.file.peek(_CHUNK))
            if not text.how and not form:
                return None
            copy = tempfile.TemporaryFile(buffering=_CHUNK)  # noqa: SIM115 (the reader closes it)
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
    """Return the form of a text that begins like this, "" for JSON lines."""
    if _ARRAY.match(head):
        return "a JSON array"
    return "indented JSON" if _INDENTED.match(head) else ""


def _values(file: io.BufferedReader) -> Iterator[bytes]:
    """Yield the values of a JSON text, each on one line; other text is passed on unchanged, up to the end of its line."""
    text, position, ended = "", 0, False
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    while True:
        separators = _SEPARATORS.match(text, position)
        position = separators.end() if separators else position
        try:
            value_end = _decode(text, position)[1] if position < len(text) else position
        except (ValueError, RecursionError):
            value_end = None
        if not ended and (value_end is None or value_end == len(text)) and len(text) - position < _LONGEST_VALUE:
            data = file.read(max(_CHUNK, len(text) - position))
            text, position, ended = text[position:] + decoder.decode(data, final=not data), 0, not data
            continue
        if position >= len(text):
            return
        if value_end is None:
            value_end = (text.find("\n", position) + 1) or len(text)
        # A line break in a JSON string is escaped, so these are all between two parts of the value.
        yield text[position:value_end].strip().replace("\r", " ").replace("\n", " ").encode("utf-8", "surrogateescape")
        position = value_end
