"""Runs a program as a user without a line in /etc/passwd, as a container started with --user=12345 does.

    python tests/helpers/foreign_uid.py COMMAND ...

In a user namespace of its own the caller's rights stay, only the number of the user is another. Linux; exit status 99 where
there is no namespace to be had.
"""

import ctypes
import os
import pathlib
import sys

NO_NAMESPACE = 99
UID = 12345
_NEW_USER = 0x10000000  # of unshare(2)

if __name__ == "__main__":
    uid, gid = os.getuid(), os.getgid()
    try:
        if ctypes.CDLL(None, use_errno=True).unshare(_NEW_USER):
            raise OSError(ctypes.get_errno(), "unshare")
        pathlib.Path("/proc/self/setgroups").write_text("deny")
        pathlib.Path("/proc/self/uid_map").write_text(f"{UID} {uid} 1")
        pathlib.Path("/proc/self/gid_map").write_text(f"{UID} {gid} 1")
    except OSError as error:
        print(f"no user namespace: {error}", file=sys.stderr)
        sys.exit(NO_NAMESPACE)
    os.execvp(sys.argv[1], sys.argv[1:])
