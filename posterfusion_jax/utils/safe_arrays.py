"""Load arrays without unpickling, because Python's pickles can run any code while they are loaded."""

import pathlib
import zipfile
import zlib

import numpy as np

from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.checksums import unreadable

_PROTOCOLS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))  # how pickles begin
# What libraries raise for a corrupt archive; NotImplementedError is zipfile's for a compression that it does not know.
_DAMAGE = (FileNotFoundError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError)
_ZIP = b"PK\x03\x04"  # torch.save puts its pickle into one


def is_pickle(path: pathlib.Path) -> bool:
    """Return whether a weights file is a pickle, plain or as torch.save packs it. Raises OSError."""
    with path.open("rb") as file:
        return file.read(4).startswith((*_PROTOCOLS, _ZIP))


def memmap_npy(path: pathlib.Path, *, fix: str) -> np.ndarray:
    """Return the array in a .npy file, memory-mapped.

    Args:
      path: the file.
      fix: a sentence on how to repair the file, for the message.

    Raises:
      InputError: the file holds Python objects, which NumPy pickles, or is no such file.
    """
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError) as error:
        raise _refused(path, error, fix) from error
    except (OSError, MemoryError) as error:
        raise unreadable(path, error) from error


def load_npz(path: pathlib.Path, *, fix: str) -> dict[str, np.ndarray]:
    """Return the arrays in a .npz file. Args and Raises as those of `memmap_npy`."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except _DAMAGE as error:
        raise _refused(path, error, fix) from error
    except Exception as error:  # of zipfile and NumPy, for any other reason
        raise unreadable(path, error) from error


def _refused(path: pathlib.Path, error: Exception, fix: str) -> InputError:
    return InputError(f"{path} cannot be read as arrays of numbers ({error}); pickled objects are never loaded. {fix}")
