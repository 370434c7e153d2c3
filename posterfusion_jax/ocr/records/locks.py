"""What record files need of the operating system: locks that end with their holder, and names that outlive a power cut."""

import contextlib
import fcntl
import logging
import os
import pathlib
from typing import IO


def lock_if_free(file: IO[bytes], *, alone: bool) -> bool:
    """Locks an open file for as long as it is open, or until the next call; False where another process is in the way.

    Args:
      alone: no other may hold a lock at the same time; otherwise all others must hold such a shared one.

    Raises:
      OSError: the file system has no locks.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def share_lock(file: IO[bytes], path: pathlib.Path) -> None:
    """Takes a shared lock, and waits for it if another process holds the file alone. Raises OSError as `lock_if_free`."""
    if not lock_if_free(file, alone=False):
        logging.info("%s is being compacted or opened by another process; waiting for it", path)
        fcntl.flock(file, fcntl.LOCK_SH)


def is_at(file: IO[bytes], path: pathlib.Path) -> bool:
    """Whether the open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def sync_folder(folder: pathlib.Path) -> None:
    """Puts the names of the folder's files on disk: a power cut may otherwise undo a creation or a renaming."""
    descriptor = os.open(folder, os.O_RDONLY)
    with contextlib.suppress(OSError):  # of network file systems that know no fsync of folders
        os.fsync(descriptor)
    os.close(descriptor)
