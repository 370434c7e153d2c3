"""Read titles, years and ids in the file names of pictures, as in "The Matrix (1999)" and "tt0133093_2"."""

import re
import unicodedata
from typing import NamedTuple

_TITLE_YEAR = re.compile(r"(.*\S)\s*[\[(](\d{4})[\])].*")
_IMDB_ID = re.compile(r"(tt\d{7,10})(?:[_ -]\d+)?")
_HASH = re.compile(r"(?=.*\d)[0-9a-f-]{16,}", re.IGNORECASE)
_LEAST_ID = 100_000  # smaller numbers may count the files of a folder
# Names that programs give, alone or with a number.
_GENERIC = frozenset(
    (
        *("image", "img", "picture", "pic", "photo", "poster", "cover", "folder", "file", "film", "movie", "untitled", "page"),
        *("download", "screenshot", "dsc", "scan", "thumb", "frame", "copy", "fanart", "banner", "backdrop"),
    )
)


class FileName(NamedTuple):
    """Hold what the file name of a picture states.

    Attributes:
      title: in plain words; "" where the name has none.
      year: None where the name has none.
      film: the same for all pictures of a film: IMDb's id, or title and year; "" where the name has neither.
      identifies: whether two pictures of this name in different folders are the same poster. A number such as "12" or a name
        such as "image_3" only counts the files of its folder.
    """

    title: str
    year: int | None
    film: str
    identifies: bool


def read_file_name(name: str) -> FileName:
    """Return what a file name without suffix states."""
    plain = _plain(name)
    imdb = _IMDB_ID.fullmatch(name.strip())
    if imdb:
        return FileName("", None, imdb[1], True)
    title, year = split_title(name)
    if year is not None and any(map(str.isalnum, title)):
        return FileName(title, year, title_group(title, year), True)
    if plain.isdecimal():
        return FileName("", None, "", int(plain[:20]) >= _LEAST_ID)
    if _HASH.fullmatch(plain.replace(" ", "")):
        return FileName("", None, "", True)
    words = re.findall(r"[^\W\d_]+", plain.casefold())
    generic = all(word in _GENERIC or len(word) < 2 for word in words)
    numbered = bool(re.search(r"\d\)?$", plain)) and len(words) < 2
    return FileName("" if generic else plain, None, "", not generic and not numbered)


def split_title(name: str) -> tuple[str, int | None]:
    """Return title and year of a name such as "The Matrix (1999)"; the year is None where there is none."""
    plain = _plain(name)
    match = _TITLE_YEAR.fullmatch(plain)
    return (match[1], int(match[2])) if match else (plain, None)


def printable_name(name: str) -> str:
    """Return a name of a file or folder as text that can be stored: composed characters, U+FFFD for other bytes."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def title_group(title: str, year: int | None) -> str:
    """Return the group of posters with this title and year."""
    return (f"{title.casefold()} ({year})" if year else title.casefold())[:200]


def _plain(name: str) -> str:
    return " ".join(printable_name(name).replace("_", " ").split())[:1000]
