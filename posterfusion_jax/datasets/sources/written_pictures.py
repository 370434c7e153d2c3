"""Write pictures that are inside other files to files of their own, named by their content."""

import os
import pathlib
import threading

from posterfusion_jax.errors import InputError

_SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif"}


def write_picture(data: bytes, sha256: str, folder: pathlib.Path) -> tuple[str, bool]:
    """Write a picture's bytes, unchanged, where they are not there yet.

    The file appears complete or not at all; one of another size, left by a crash of the machine, is replaced.

    Args:
      data: the bytes.
      sha256: their hash, which names the file.
      folder: is created where it is missing.

    Returns:
      The file's path, and whether it was written now.

    Raises:
      InputError: the folder cannot be written.
    """
    suffix = next((suffix for start, suffix in _SUFFIXES.items() if data.startswith(start)), ".img")
    file = folder / f"{sha256}{suffix}"
    try:
        if file.is_file() and file.stat().st_size == len(data):
            return str(file), False
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{sha256}.{os.getpid()}.{threading.get_ident()}.partial"  # several runs may write into one folder
        try:
            partial.write_bytes(data)
            os.replace(partial, file)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"the pictures of the data set cannot be written to {str(folder)!r}: {error.strerror or error}. They need a folder "
            "with enough room; it is 'pictures' in the run's workdir."
        ) from error
    return str(file), True
