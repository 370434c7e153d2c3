"""Write pictures that lie inside other files to files of their own, named by the hash of their bytes."""

import hashlib
import os
import pathlib

from posterfusion_jax.errors import InputError

_SUFFIXES = (
    (0, b"\xff\xd8\xff", ".jpg"),
    (0, b"\x89PNG", ".png"),
    (8, b"WEBP", ".webp"),
    (0, b"GIF8", ".gif"),
    (0, b"BM", ".bmp"),
    (0, b"II*\0", ".tif"),
    (0, b"MM\0*", ".tif"),
    (4, b"ftypavi", ".avif"),
)


class PictureFiles:
    """Keep pictures in a folder, byte for byte; a file that is there already is not written again.

    Attributes:
      written: number of files written.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        """Take the folder, which is made where it is needed."""
        self._folder = pathlib.Path(folder)
        self.written = 0

    def add(self, data: bytes, sha256: str) -> str:
        """Return the path of the file with these bytes. A file appears with all its bytes, or not.

        Args:
          data: of the picture.
          sha256: of `data`, in hexadecimal digits.

        Raises:
          InputError: the folder cannot be written.
        """
        suffix = next((suffix for start, mark, suffix in _SUFFIXES if data[start:].startswith(mark)), ".img")
        file = self._folder / sha256[:2] / f"{sha256}{suffix}"
        try:
            if not file.is_file() or file.stat().st_size != len(data):  # of an unclean end of the machine
                file.parent.mkdir(parents=True, exist_ok=True)
                partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
                partial.write_bytes(data)
                os.replace(partial, file)
                self.written += 1
        except OSError as error:
            raise InputError(
                f"the pictures of the source cannot be written to {str(self._folder)!r}: {error.strerror or error}. It must be "
                "a folder that can be written, with room for all of them."
            ) from error
        return str(file)


def hash_picture(data: bytes) -> str:
    """Return the sha256 of a picture's bytes in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
