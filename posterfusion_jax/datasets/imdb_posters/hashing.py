"""Hash any amount of data: sha256 of its canonical JSON text, which is never in memory as a whole; and order by a hash."""

import hashlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def hash_file(path: pathlib.Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_json(value: Any) -> str:
    """Return the sha256 of a value's canonical JSON text.

    An iterator counts as a list, both as the value and inside the list that is the value.
    """
    digest = hashlib.sha256()
    for piece in _json_pieces(value):
        digest.update(piece.encode())
    return digest.hexdigest()


def hash_order(text: str) -> bytes:
    """Return a sort key that looks random and is the same on every machine."""
    return hashlib.sha256(text.encode()).digest()


def _json_pieces(value: Any) -> Iterator[str]:
    if isinstance(value, Iterator):
        yield "["
        for number, item in enumerate(value):
            yield ("," if number else "") + _CANONICAL.encode(item)
        yield "]"
    elif isinstance(value, list) and any(isinstance(item, Iterator) for item in value):
        for number, item in enumerate(value):
            yield "," if number else "["
            yield from _json_pieces(item)
        yield "]"
    else:
        yield _CANONICAL.encode(value)
