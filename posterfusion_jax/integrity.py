"""Checksums in what is written, so that a damaged file is told and never believed.

Against damage by disks, networks and copying: a CRC-32 finds every flipped byte. It is no protection against forgery.
"""

import json
import pathlib
import zlib
from typing import Any

from posterfusion_jax.errors import InputError

CHECK = "check"  # the entry that holds the checksum of all others


def sealed(fields: dict[str, Any]) -> dict[str, Any]:
    """The same JSON-able object with a checksum of it as "check"."""
    return {**fields, CHECK: _check_of(fields)}


def is_whole(fields: dict[str, Any]) -> bool:
    """Whether an object has the checksum that it says. One that says none is taken as it is: others, and
    versions before this one, wrote none."""
    if CHECK not in fields:
        return True
    try:
        return fields[CHECK] == _check_of({name: value for name, value in fields.items() if name != CHECK})
    except RecursionError:  # so deep that it can just be read: none of ours
        return False


def read_sealed(path: pathlib.Path, *, fix: str) -> dict[str, Any]:
    """The object in a JSON file that was written with `sealed`, without its checksum.

    Args:
      fix: what to do about a damaged one, a sentence.

    Raises:
      InputError: the file cannot be read, is no such object, or has the checksum of another.
    """
    try:
        fields = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, fix, str(error)) from None
    if not isinstance(fields, dict) or not is_whole(fields):
        raise damaged(path, fix, "its checksum is that of other contents")
    fields.pop(CHECK, None)
    return fields


def damaged(path: pathlib.Path | str, fix: str, why: str) -> InputError:
    """What is said of a damaged file."""
    return InputError(f"{path} is damaged ({why}). {fix}")


def checksum(data: Any) -> str:
    """CRC-32 of bytes, or of anything with the buffer protocol, as eight hexadecimal digits."""
    return f"{zlib.crc32(data):08x}"


def _check_of(fields: dict[str, Any]) -> str:
    return checksum(json.dumps(fields, sort_keys=True).encode())
