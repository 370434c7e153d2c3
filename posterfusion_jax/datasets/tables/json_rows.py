"""Read tables in JSON: an array or object of objects, JSON lines, or objects one after the other as MongoDB exports them."""

import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

from posterfusion_jax.datasets.tables.label_cells import replace_surrogates
from posterfusion_jax.datasets.tables.rows import LONGEST_CELL, SAMPLE_ROWS, BadRow, Row, Rows, list_columns
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.packed_files import READ_ERRORS, open_text

_CHUNK = 1 << 20  # bytes
_MAX_VALUE = 1 << 28  # characters of one value: a file that is a single object is in memory as a whole
_MONGO = re.compile(r"\b(?:ObjectId|ISODate|NumberInt|NumberLong|NumberDecimal)\(\s*(\"[^\"]*\"|-?[\d.]+)\s*\)")
_DEPTH = 3  # levels of objects in an object that become columns of their own: "imdb.genres"
_MOST_BESIDE = 5  # fields of an object that holds the rows in one of them
_NAMES_OF_ROWS = frozenset(("data", "rows", "items", "records", "results", "movies", "films", "posters", "books"))
_SPACE = re.compile(r"[ \t\r\n]*")
_SPACE_IN_ARRAY = re.compile(r"[ \t\r\n,]*")
_KEY = "key"  # name of the column of an object of objects' keys


def open_json_rows(path: pathlib.Path) -> Rows:
    """Open a table in JSON; its columns are the names in the first `SAMPLE_ROWS` objects, of inner objects "outer.inner".

    Raises:
      InputError: the file cannot be read, is no JSON, or holds no objects.
    """
    names: dict[str, None] = {}
    number, first = 0, None  # the first value that is no object
    for number, (_, value) in enumerate(_objects(path), 1):
        if isinstance(value, dict):
            names.update(dict.fromkeys(value))
        elif first is None:
            first = value
        if number == SAMPLE_ROWS:
            break
    if not names:
        found = "nothing" if not number else "objects without fields" if first is None else f"values such as {_short(first)}"
        raise InputError(
            f"data.table={str(path)!r} holds {found}, and must hold objects with the labels and the picture of a poster each: "
            '[{"id": "tt0114709", "genres": ["Comedy"]}, ...], or one object a line.'
        )
    header = tuple(names)

    def read() -> Iterator[Row | BadRow]:
        for place, value in _objects(path):
            if isinstance(value, dict):
                yield Row(place, [value.get(name, "") for name in header])
            else:
                yield BadRow(place, f"no object but {_short(value)}")

    how = f"{path.name}: JSON, columns {list_columns(header)}"
    return Rows(header, read, (how,), files=(path,))


def _short(value: Any) -> str:
    return json.dumps(value)[:60]


def _objects(path: pathlib.Path) -> Iterator[tuple[str, Any]]:
    """Yield (place, flat object or other value) of every row."""
    number = 0
    values = _values(path)
    for value in values:
        if isinstance(value, dict) and number == 0:
            inner = _inner_rows(value)
            if inner is not None:
                for number, item in enumerate(inner, 1):
                    yield f"{path.name}, object {number}", _flat(item)
                continue
        number += 1
        yield f"{path.name}, object {number}", _flat(value)


def _inner_rows(value: dict[str, Any]) -> Iterator[Any] | None:
    """Return the rows that an object holds: those of a list of objects in it, or its values if all are objects; else None."""
    lists = {name: inner for name, inner in value.items() if isinstance(inner, list)}
    scalars = [inner for inner in value.values() if not isinstance(inner, list | dict)]
    if len(lists) == 1 and len(value) <= _MOST_BESIDE:
        name, rows = next(iter(lists.items()))
        several = len(rows) > 1 and "genre" not in name.lower()
        if rows and (several or name.lower() in _NAMES_OF_ROWS) and all(isinstance(row, dict) for row in rows):
            return iter(rows)
    if len(value) > 1 and not scalars and not lists:
        return ({_KEY: name, **inner} for name, inner in value.items())
    return None


def _flat(value: Any, prefix: str = "", depth: int = 1) -> Any:
    """Return an object with the fields of inner objects as "outer.inner"; other values as they are."""
    if not isinstance(value, dict):
        return value
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, dict) and inner and depth < _DEPTH:
            flat |= _flat(inner, f"{prefix}{name}.", depth + 1)
        else:
            flat[prefix + name] = replace_surrogates(inner[:LONGEST_CELL]) if isinstance(inner, str) else inner
    return flat


def _values(path: pathlib.Path) -> Iterator[Any]:
    """Yield the values of a file one after another: the items of an array, or the values themselves."""
    decoder, in_array, ended, wanted = json.JSONDecoder(), False, False, _CHUNK
    text, at = "", 0  # `text` is parsed up to `at`
    mongo = False
    try:
        with open_text(path) as opened:
            while True:
                at = _end_of(_SPACE_IN_ARRAY if in_array else _SPACE, text, at)
                if text[at : at + 1] == ("]" if in_array else "["):
                    in_array, at = not in_array, at + 1
                    continue
                if at < len(text):
                    try:
                        value, stop = decoder.raw_decode(text, at)
                    except (json.JSONDecodeError, RecursionError) as error:
                        if ended:
                            raise _no_json(path, text[at:], error) from error
                    else:
                        if stop < len(text) or ended:  # the next chunk may have further digits of a number
                            yield value
                            at, wanted = stop, _CHUNK
                            continue
                elif ended:
                    if in_array:
                        raise _no_json(path, "", "the array does not end")
                    return
                if len(text) - at > _MAX_VALUE:
                    raise InputError(
                        f"data.table={str(path)!r} holds one value of over {_MAX_VALUE:,} characters. Write it as JSON lines, "
                        "one object per line."
                    )
                data = opened.file.read(wanted)
                wanted = min(2 * wanted, _MAX_VALUE)  # a value that is larger than a chunk is parsed a few times only
                ended = not data
                text, at = text[at:] + _decode(data, opened.file), 0
                mongo = mongo or "ObjectId(" in text[:10_000] or "ISODate(" in text[:10_000]
                if mongo:
                    text = _MONGO.sub(r"\1", text)
    except READ_ERRORS as error:
        raise InputError(f"data.table={str(path)!r} cannot be read to its end: {error}. Is it complete?") from error


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _decode(data: bytes, file: Any) -> str:
    """Return the text of a chunk, with the bytes of a character that ends in the next chunk."""
    while True:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            more = file.read(1) if len(data) - error.start < 4 else b""
            if not more:
                return data.decode("cp1252", "replace")
            data += more


def _no_json(path: pathlib.Path, text: str, error: Exception | str) -> InputError:
    return InputError(f"data.table={str(path)!r} is no JSON at {text[:40]!r}: {str(error)[:120]}. Is the file complete?")
