"""Add checksums to files, so that a corrupt file is reported and never used.

Two kinds of error: `corrupt_file_error` where a file is proven to differ from what was written (wrong checksum, missing,
truncated or not JSON), which may advise to remove it; `unreadable` for any other failure, after which the file may be sound. A

CRC-32 detects every flipped byte, against damage by disks, networks and copying. It does not protect against forgery.
"""

import errno
import json
import pathlib
import zlib
from typing import Any

from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.path_alias import user_names

CHECK = "check"  # the entry that holds the checksum of all others
_encode = json.JSONEncoder(sort_keys=True).encode


def with_checksum(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON-able object with a checksum of it as "check"."""
    return {**fields, CHECK: _check_of(fields)}


def checksum_matches(fields: dict[str, Any]) -> bool:
    """Return whether an object matches its checksum.

    An object without one passes: other programs and earlier versions wrote none.
    """
    if CHECK not in fields:
        return True
    try:
        return fields[CHECK] == _check_of({name: value for name, value in fields.items() if name != CHECK})
    except RecursionError:  # nested too deeply to be written by this package
        return False


def read_checked_json(path: pathlib.Path, *, fix: str) -> dict[str, Any]:
    """Return the object in a JSON file that was written with `with_checksum`, without its checksum.

    Args:
      path: the file.
      fix: a sentence on how to repair a corrupt one.

    Raises:
      InputError: the file cannot be read (no proof of damage), is no such object, or has another checksum.
    """
    try:
        fields = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError) as error:
        raise corrupt_file_error(path, fix, str(error)) from None
    except (OSError, MemoryError) as error:
        raise unreadable(path, error) from error
    if not isinstance(fields, dict) or not checksum_matches(fields):
        raise corrupt_file_error(path, fix, "its checksum is that of other contents")
    fields.pop(CHECK, None)
    return fields


def corrupt_file_error(path: pathlib.Path | str, fix: str, why: str) -> InputError:
    """Return the error for a file that is proven to be damaged.

    Args:
      path: the file.
      fix: a sentence on how to repair it; it may advise to remove the file.
      why: the proof.
    """
    return InputError(f"{path} is damaged ({user_names(why)}). {fix}")


def unreadable(path: pathlib.Path | str, error: BaseException) -> InputError:
    """Return the error for a file that could not be read, for a reason that does not prove it damaged."""
    why = user_names(" ".join(f"{type(error).__name__}: {error}".split()))[:300]
    return InputError(f"{path} could not be read ({why}). {_advice(error)} The file was not changed; it may be sound.")


def _advice(error: BaseException) -> str:
    """Return what to try after an error while reading."""
    number = getattr(error, "errno", None)
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return "There is too little memory: end other programs, or use a machine with more, and start the same command again."
    if number in (errno.EACCES, errno.EPERM):
        return "Give your user the right to read it, and start the same command again."
    if number in (errno.EMFILE, errno.ENFILE) or "Too many open files" in str(error):
        return "Allow more open files (ulimit -n 4096), and start the same command again."
    if number is not None:
        return "Check the disk or network file system that holds it, and start the same command again."
    return (
        "Start the same command again; if that does not help, install the package versions of constraints.txt, or report this "
        "message."
    )


def checksum(data: Any) -> str:
    """Return the CRC-32 of bytes, or of any object with the buffer protocol, as eight hexadecimal digits."""
    return f"{zlib.crc32(data):08x}"


def _check_of(fields: dict[str, Any]) -> str:
    return checksum(_encode(fields).encode())
