"""Look up pictures by what a table has of them: a path, a file name, or an id."""

import array
import bisect
import os
import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from posterfusion_jax.datasets.sources.pictures import Picture
from posterfusion_jax.posters.image_files import stem_of
from posterfusion_jax.utils.disk_collections import DiskList

_NUMBERED = re.compile(r"(.+)_\d{1,4}")
_MOST_OF_AN_ID = 100  # pictures of one id
_LONGEST_PATH = 4096  # characters
_STEM, _ID = "\0", "\1"  # first characters of keys; no file has them in its name


class Match(NamedTuple):
    """Hold what a row names, as places in the list of pictures.

    Attributes:
      places: the row's pictures; empty where there is none.
      same_name: pictures of the same file name in other folders, which are not the row's.
    """

    places: list[int]
    same_name: list[int]


NO_MATCH = Match([], [])


class PictureIndex:
    """Find pictures below a folder by path or id, in 16 to 48 bytes of memory for each.

    Keys are compared by their hashes of 64 bits.
    """

    def __init__(self, pictures: DiskList[Picture]):
        """Take all pictures. Their names are paths inside the folder, without suffixes."""
        self._pictures = pictures
        hashes, places = array.array("q"), array.array("q")

        def add(key: str, place: int) -> None:
            hashes.append(hash(key))
            places.append(place)

        for place, (name, _) in enumerate(pictures):
            name = _plain(name)
            stem = os.path.basename(name)
            add(_STEM + stem, place)
            if stem != name:
                add(name, place)
            if stem[-1:].isdigit():
                numbered = _NUMBERED.fullmatch(stem)
                if numbered:
                    add(_ID + numbered[1], place)
        order = np.argsort(np.frombuffer(hashes, np.int64), kind="stable")
        self._hashes = array.array("q", np.frombuffer(hashes, np.int64)[order].tobytes())
        self._places = array.array("q", np.frombuffer(places, np.int64)[order].tobytes())

    def find_path(self, path: str) -> Match:
        """Return the picture of a path, an address or a file name; its first folders may be missing or doubled here."""
        if not path or _STEM in path or len(path) > _LONGEST_PATH:
            return NO_MATCH
        if path.startswith(("http:", "https:")):
            path = path.partition("?")[0]
        parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        if not parts:
            return NO_MATCH
        last = parts[-1]
        for stem in dict.fromkeys((stem_of(last) if "." in last else last, last)):
            for start in range(len(parts) - 1):
                found = self._find("/".join([*parts[start:-1], stem]))
                if found:
                    return Match(found[:1], [])
            found = self._find(_STEM + stem)
            if found:
                return self._choose(found, parts[:-1])
        return NO_MATCH

    def find_id(self, value: str) -> Match:
        """Return the pictures of an id: that of one of its names (`id_names`), and those of the names <id>_<k>."""
        for name in id_names(value):
            if name and "/" not in name and _STEM not in name:
                found = self._find(_STEM + name)
                numbered = self._find(_ID + name)
                if found:
                    match = self._choose(found, ())
                    return Match([*match.places, *numbered], match.same_name)
                if numbered:
                    return Match(numbered, [])
        return NO_MATCH

    def _find(self, key: str) -> list[int]:
        hashes, wanted = self._hashes, hash(_plain(key))
        at = bisect.bisect_left(hashes, wanted)
        end = at
        while end < len(hashes) and hashes[end] == wanted and end - at < _MOST_OF_AN_ID:
            end += 1
        return self._places[at:end].tolist() if end > at else []

    def _choose(self, found: list[int], folders: Sequence[str]) -> Match:
        """Return the picture that shares most of the folders; of equal ones the one in fewest folders, then the first."""
        if len(found) == 1:
            return Match(found, [])
        wanted = set(folders)

        def rank(place: int) -> tuple[int, int]:
            own = self._pictures[place].name.split("/")[:-1]
            return -len(wanted & set(own)), len(own)

        best = min(found, key=rank)
        return Match([best], [place for place in found if place != best])


def _plain(name: str) -> str:
    """Return a name in Unicode's composed form; bytes that are no characters become "\ufffd"."""
    if name.isascii():
        return name
    return unicodedata.normalize("NFC", name.encode("utf-8", "surrogatepass").decode("utf-8", "replace"))


def id_names(value: str) -> list[str]:
    """Return the names under which pictures of an id are kept: the id, an IMDb id of a number, or the number of an IMDb id."""
    plain = value.strip()
    if plain.endswith(".0") and plain[:-2].isdigit():  # a number that pandas wrote with missing ones
        plain = plain[:-2]
    names = [plain]
    if plain.isdigit() and len(plain) <= 10:
        names.append(f"tt{plain.zfill(7)}")
        names.append(plain.zfill(7))
    elif re.fullmatch(r"tt\d+", plain):
        names += [plain[2:], plain[2:].lstrip("0") or "0", f"tt{plain[2:].lstrip('0').zfill(7)}"]
    return list(dict.fromkeys(names))
