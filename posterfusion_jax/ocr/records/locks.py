"""Lock record files with locks that end with their holder, and make file names durable against a power failure."""

import contextlib
import fcntl
import logging
import os
import pathlib
from typing import IO


def lock_if_free(file: IO[bytes], *, exclusive: bool) -> bool:
    """Lock an open file while it is open, or until the next call; return False if another process prevents it.

    Args:
      file: to lock.
      exclusive: no other process may hold a lock at the same time; otherwise all others must hold such a shared one.

    Raises:
      OSError: the file system has no locks.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def share_lock(file: IO[bytes], path: pathlib.Path) -> None:
    """Take a shared lock, and wait for it if another process holds an exclusive one.

    Raises:
      OSError: the file system has no locks.
    """
    if not lock_if_free(file, exclusive=False):
        logging.info("%s is being compacted or opened by another process; waiting for it", path)
        fcntl.flock(file, fcntl.LOCK_SH)


def is_at(file: IO[bytes], path: pathlib.Path) -> bool:
    """Return whether the path still names the open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def sync_folder(folder: pathlib.Path) -> None:
    """Sync the names of the folder's files to disk: a power failure may otherwise undo a creation or a renaming."""
    descriptor = os.open(folder, os.O_RDONLY)
    with contextlib.suppress(OSError):  # network file systems may not support fsync of folders
        os.fsync(descriptor)
    os.close(descriptor)
