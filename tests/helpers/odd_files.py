"""Odd things in the place of a poster's file, and odd names: what becomes of each, in a folder and in prediction."""

import os
import pathlib
import stat
from collections.abc import Callable
from typing import NamedTuple

from odd_images import jpeg

from posterfusion_jax.posters.decode import MAX_BYTES
from posterfusion_jax.posters.folder import MISNAMED


class Entry(NamedTuple):
    """Something at the path of a poster.

    Attributes:
      make: makes it there.
      in_folder: why it is not listed as a poster; "" if it is.
      when_read: why it cannot be read; "" if it can, None where it is not tried.
    """

    name: str
    make: Callable[[pathlib.Path], object]
    in_folder: str
    when_read: str | None


def _link(path: pathlib.Path, target: str) -> None:
    path.symlink_to(target)


def _link_to_poster(path: pathlib.Path) -> None:
    target = path.with_suffix(".tmp")
    target.write_bytes(jpeg(quality=80))
    path.symlink_to(target.name)


def _without_permission(path: pathlib.Path) -> None:
    path.write_bytes(jpeg(quality=81))
    path.chmod(0)


def _too_large(path: pathlib.Path) -> None:
    path.touch()
    os.truncate(path, MAX_BYTES + 1)  # takes no room on disk


_NO_FILE = "a pipe, a socket or a device, not a file"
_LOOP = "cannot be read: Too many levels of symbolic links"
ENTRIES = [
    Entry("a link to an image", _link_to_poster, "", ""),
    Entry(
        "a link to nothing", lambda path: _link(path, "gone.jpg"), "a link that leads to no file", "No such file or directory"
    ),
    Entry("a link to itself", lambda path: _link(path, path.name), _LOOP, "Too many levels of symbolic links"),
    Entry("a link to a folder", lambda path: _link(path, "."), "a link to a folder; those are not followed", "Is a directory"),
    Entry("a link to a device", lambda path: _link(path, "/dev/zero"), _NO_FILE, "it is a pipe or a device, not a file"),
    Entry("a pipe without a writer", os.mkfifo, _NO_FILE, "it is a pipe or a device, not a file"),
    Entry("a socket", lambda path: os.mknod(path, 0o600 | stat.S_IFSOCK), _NO_FILE, "No such device or address"),
    Entry("a file without permission to read", _without_permission, "", "Permission denied"),
    Entry("a file of more than 256 MiB", _too_large, "", "268,435,457 bytes, more than the 268,435,456 allowed"),
]


class Name(NamedTuple):
    """A file's name below images/, and the poster that it stands for; None: it stands for none."""

    what: str
    name: str
    poster: str | None


NAMES = [
    Name("spaces", "tt0000001 1.jpg", None),
    Name("a line break", "tt0000001_1\n.jpg", None),
    Name("a tab", "tt0000001\t.jpg", None),
    Name("quotes", "tt0000001'\".jpg", None),
    Name("a dash in front", "-tt0000001.jpg", None),
    Name("a terminal escape", "\x1b[31mtt0000001.jpg", None),
    Name("a turn of the writing's direction", "tt0000001\u202egpj.jpg", None),
    Name("digits of another script", "tt\u0660\u0660\u0660\u0660\u0660\u0660\u0661.jpg", None),
    Name("Hebrew letters", "\u05e9\u05dc\u05d5\u05dd.jpg", None),
    Name("bytes that are no UTF-8", os.fsdecode(b"tt0000001\xff.jpg"), None),
    Name("two suffixes", "tt0000001.jpg.png", "tt0000001"),
    Name("a suffix of another format", "tt0000002_1.png", "tt0000002_1"),
    Name("a suffix in capitals", "tt0000002_2.JPG", "tt0000002_2"),
    Name("255 bytes", "tt0000002_" + "1" * 241 + ".jpg", "tt0000002_" + "1" * 241),
    Name("a folder with spaces", "a b/tt0000003_1.jpg", "tt0000003_1"),
    Name("a folder with a line break", "a\nb/tt0000003_2.jpg", "tt0000003_2"),
    Name("a folder with a dash in front", "-rf/tt0000003_3.jpg", "tt0000003_3"),
    Name("a folder with an accent, composed (NFC)", "caf\u00e9/tt0000003_4.jpg", "tt0000003_4"),
    Name("a folder with an accent, decomposed (NFD)", "cafe\u0301/tt0000003_5.jpg", "tt0000003_5"),
    Name("a folder in bytes that are no UTF-8", os.fsdecode(b"\xff\xfe/tt0000003_6.jpg"), "tt0000003_6"),
    Name("a folder with an image's suffix", "folder.jpg/tt0000003_7.jpg", "tt0000003_7"),
    Name("a folder of 255 bytes", "x" * 255 + "/tt0000003_8.jpg", "tt0000003_8"),
]


def format_entries() -> str:
    """The table of docs/images.md."""
    rows = ["| in a poster's place | in a folder of posters | in prediction |", "| --- | --- | --- |"]
    for entry in ENTRIES:
        read = f"refused: {entry.when_read}" if entry.when_read else "read"
        listed = f"left out: {entry.in_folder}" if entry.in_folder else read
        rows.append(f"| {entry.name} | {listed} | {read} |")
    return "\n".join(rows)


def format_names() -> str:
    """The table of docs/images.md."""
    rows = ["| name with | in a folder of posters |", "| --- | --- |"]
    rows += [f"| {name.what} | {'a poster' if name.poster else f'left out: {MISNAMED}'} |" for name in NAMES]
    return "\n".join(rows)


if __name__ == "__main__":
    print(format_entries(), format_names(), sep="\n\n")
