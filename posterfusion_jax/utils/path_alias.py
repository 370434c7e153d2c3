"""Give folders a second, plain name for libraries that interpret characters of a path.

Orbax lists a checkpoint's parts with `glob`, so that `[`, `*` and `?` anywhere in its path are a pattern; etils takes the
folders /gs, /s3, /az and /hf for buckets; TensorStore and array_record take text only, no bytes that are not UTF-8. Such a
library gets a symbolic link to the folder, in a temporary folder of this process. The folder itself keeps its name.
"""

import atexit
import os
import pathlib
import re
import shutil
import tempfile
import threading

from posterfusion_jax.errors import InputError

_PLAIN = re.compile(r"(?!//|/(?:gs|s3|az|hf)(?:/|$))[\w /.,=@:+-]*")  # \w: letters and digits of every script
_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")

_lock = threading.Lock()
_links: dict[str, str] = {}  # absolute folder -> link
_home: dict[int, str] = {}  # process -> its temporary folder; a forked child makes its own


def plain_path(path: str | os.PathLike[str]) -> pathlib.Path:
    """Return a path to the same file or folder that no library takes for a pattern, a template or a URL.

    A path of letters, digits and a few signs is only made absolute. For any other path a link is made to the
    folder that holds the last part, or to the path itself if its last part is not plain either; the target must
    exist when the link is used. Links last as long as the process.

    Raises:
      InputError: no temporary folder has a plain name itself.
    """
    absolute = str(pathlib.Path(path).absolute())
    if _is_plain(absolute):
        return pathlib.Path(absolute)
    folder, name = os.path.split(absolute)
    if _is_plain(name):
        return pathlib.Path(_link(folder, absolute), name)
    return pathlib.Path(_link(absolute, absolute))


def user_names(text: str) -> str:
    """Return a library's message with the folders' own names in place of their links."""
    for folder, link in _links.items():
        text = text.replace(link, folder)
    return text


def _is_plain(path: str) -> bool:
    return _PLAIN.fullmatch(path) is not None


def _link(target: str, path: str) -> str:
    with _lock:
        home = _home.get(os.getpid()) or _make_home(path)
        if target not in _links or os.path.dirname(_links[target]) != home:
            link = os.path.join(home, f"{len(os.listdir(home))}_")  # no name is a prefix of another
            os.symlink(target, link)
            _links[target] = link
        return _links[target]


def _make_home(path: str) -> str:
    for folder in (tempfile.gettempdir(), *_TEMPORARY):
        if _is_plain(os.path.abspath(folder)) and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            home = tempfile.mkdtemp(prefix="posterfusion-", dir=os.path.abspath(folder))
            _home[os.getpid()] = home
            atexit.register(_remove_home, os.getpid())
            return home
    odd = next((character for character in path if not _is_plain(character)), path[:3])
    raise InputError(
        f"the path {path!r} has {odd!r} in it and needs a link in a temporary folder; no writable folder has a "
        f"plain name (TMPDIR is {tempfile.gettempdir()!r}). Set TMPDIR to a folder of letters and digits, or give another path."
    )


def _remove_home(process: int) -> None:
    if process == os.getpid():
        shutil.rmtree(_home[process], ignore_errors=True)  # removes the links, not their targets
