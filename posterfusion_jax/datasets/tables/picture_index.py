"""Look up pictures by what a table says of them: a path, a file name, or an id."""

import itertools
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence

from posterfusion_jax.datasets.sources.pictures import Picture
from posterfusion_jax.posters.image_files import stem_of
from posterfusion_jax.utils.disk_collections import DiskDict, DiskList, KeyFilter, sort_on_disk

_NUMBERED = re.compile(r"(.+)_\d{1,4}")
_MOST_OF_AN_ID = 100  # pictures of one id
_FILTER_SLOTS = 1 << 24  # bytes


class PictureIndex:
    """Find pictures below a folder by path or id."""

    def __init__(self, pictures: DiskList[Picture]):
        """Take all pictures. Their names are paths inside the folder, without suffixes."""

        def keys() -> Iterator[tuple[str, tuple[str, str]]]:
            for name, file in pictures:
                key = _plain(name)
                stem = os.path.basename(key)
                yield key, (name, file)
                if stem != key:
                    yield f"\0{stem}", (name, file)
                numbered = _NUMBERED.fullmatch(stem)
                if numbered:
                    yield f"\1{numbered[1]}", (name, file)

        self._found: DiskDict[list[Picture]] = DiskDict(lambda found: [Picture(*picture) for picture in found])
        self._keys = KeyFilter(_FILTER_SLOTS)  # most rows without a picture need no query
        rows = sort_on_disk(tuple, ((key, (key, *picture)) for key, picture in keys()))
        for key, same in itertools.groupby(rows, key=lambda row: row[0]):
            self._keys.add(key.lstrip("\0\1"))
            self._found[key] = [Picture(*row[1:]) for row in itertools.islice(same, _MOST_OF_AN_ID)]

    def find_path(self, path: str) -> list[Picture]:
        """Return the picture of a path or file name; folders at its beginning may be missing in the folder, or doubled."""
        if not path or "\0" in path or len(path) > 4096:
            return []
        parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        if not parts:
            return []
        for last in dict.fromkeys((stem_of(parts[-1]) if "." in parts[-1] else parts[-1], parts[-1])):
            for start in range(len(parts)):
                found = self._get("/".join([*parts[start:-1], last]))
                if found:
                    return found
            found = self._get(f"\0{last}")
            if found:
                return self._one_of(found, parts)
        return []

    def find_id(self, names: Sequence[str]) -> list[Picture]:
        """Return the pictures named by an id: the picture of that name, or else those named <id>_<k>."""
        for name in names:
            if name and self._keys.may_have(_plain(name)) and "/" not in name and "\0" not in name:
                found = self._get(name) or self._get(f"\0{name}")
                if found:
                    return found[:1] + self._get(f"\1{name}")
                found = self._get(f"\1{name}")
                if found:
                    return found
        return []

    def _get(self, key: str) -> list[Picture]:
        key = _plain(key)
        return self._found.get(key, []) if self._keys.may_have(key.lstrip("\0\1")) else []

    @staticmethod
    def _one_of(found: list[Picture], parts: Sequence[str]) -> list[Picture]:
        """Return the picture that shares most of the path's folders."""
        wanted = set(parts[:-1])
        return [max(found, key=lambda picture: len(wanted & set(picture.name.split("/"))))]


def _plain(name: str) -> str:
    """Return a name in Unicode's composed form; characters that are none become "\ufffd"."""
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
