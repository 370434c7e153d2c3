"""Find pictures of any name below a folder, and name posters by them."""

import hashlib
import itertools
import os
import pathlib
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from posterfusion_jax.datasets.sources.base import LeftOut
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.posters.image_files import ListedFile, OtherFiles, list_files, shown, stem_of
from posterfusion_jax.utils.disk_collections import DiskList, DiskSet, sort_on_disk

_LONGEST_ID = 120  # characters; ids become names of files in reports
_UNSAFE = re.compile(r"[\x00-\x1f\x7f<>:\"|?*\\]")
POSTER_ID = re.compile(r"(?!\.)[^\x00-\x1f\x7f/<>:\"|?*\\]{1,160}")  # what `PosterIds` can return


class Picture(NamedTuple):
    """Hold one picture: its path, and the path inside the folder without suffixes, with "/" as separator."""

    name: str
    file: str


class FoundPictures(NamedTuple):
    """Hold the pictures below a folder, in the order of their names; `left_out` has those that cannot be read."""

    pictures: DiskList[Picture]
    left_out: LeftOut
    other_files: OtherFiles


def find_pictures(folder: str | pathlib.Path) -> FoundPictures:
    """List the pictures of a folder and its sub-folders.

    Of several files with the same name and different suffixes the one with the most usual suffix counts; the others are left
    out as "second file".
    """
    root = os.path.join(os.path.abspath(folder), "")
    left_out, others = LeftOut(), OtherFiles()
    faults: DiskList[ListedFile] = DiskList(ListedFile._make)

    def usable() -> Iterator[tuple[bytes, Picture]]:
        for file in list_files(root):
            inside = file.path[len(root) :]
            if file.fault:
                faults.append(file)
            elif file.other:
                others.add(file.other)
            else:
                name = os.path.join(os.path.dirname(inside), stem_of(os.path.basename(inside)))
                yield _key(name, file.rank, file.path), Picture(name, file.path)

    pictures: DiskList[Picture] = DiskList(Picture._make)
    for name, same in itertools.groupby(sort_on_disk(Picture._make, usable()), key=lambda picture: picture.name):
        first, *rest = same
        pictures.append(first)
        for other in rest:
            reason = f"the picture {shown(name)} is already there as {shown(os.path.basename(first.file))}"
            left_out["second file"].append(Skipped(shown(other.file[len(root) :]), reason))
    for file in sort_on_disk(ListedFile._make, ((os.fsencode(file.path), file) for file in faults)):
        kind = "file" if file.other else "unreadable image"
        left_out[kind].append(Skipped(shown(file.path[len(root) :]) or ".", file.fault))
    return FoundPictures(pictures, left_out, others)


def name_poster(name: str) -> str:
    """Return the poster id of a picture's name: the same for the same name, usable as the name of a file.

    Folders are joined by "__", characters that file systems refuse become "_", and a long name ends in a hash.
    """
    plain = unicodedata.normalize("NFC", name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    plain = _UNSAFE.sub("_", plain.replace(os.sep, "__").strip()).lstrip(".") or "_"
    if len(plain) <= _LONGEST_ID:
        return plain
    return f"{plain[: _LONGEST_ID - 17]}~{_hash(name)}"


class PosterIds:
    """Give every picture a poster id of its own."""

    def __init__(self) -> None:
        self._taken = DiskSet()

    def make(self, name: str) -> str:
        """Return the poster id of a picture's name (`name_poster`); with a hash where another name has taken it."""
        poster_id = name_poster(name)
        if not self._taken.add(poster_id):
            poster_id = f"{poster_id}~{_hash(name)}"
            self._taken.add(poster_id)
        return poster_id


def _key(name: str, rank: int, path: str) -> bytes:
    return "\0".join([name.replace(os.sep, "\0"), "", str(rank), path]).encode(errors="surrogateescape")


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
