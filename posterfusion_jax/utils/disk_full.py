"""Recognize a full disk, which the user can fix, in the errors of any library."""

import errno
import re

_FULL_DISK = re.compile(
    r"no space left on device|disk quota exceeded|database or disk is full|\d+ requested and \d+ written", re.IGNORECASE
)  # the last is NumPy's


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether an exception, or one of its causes, reports a full disk or quota."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if _FULL_DISK.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False
