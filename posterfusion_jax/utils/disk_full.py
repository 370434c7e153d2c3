"""A full disk is the user's matter, in whatever words a library reports it."""

import errno
import re

_SAID = re.compile(
    r"no space left on device|disk quota exceeded|database or disk is full|\d+ requested and \d+ written", re.IGNORECASE
)  # the last is NumPy's


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an exception, or one that it came from, says that a disk or a quota is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if _SAID.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False
