"""The user's folder of posters: which file is which poster of which film."""

import itertools
import os
import pathlib
import re
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from posterfusion_jax.errors import InputError
from posterfusion_jax.images import SUFFIXES
from posterfusion_jax.on_disk import DiskList, sort_on_disk

TITLES_FILE = "title.basics.tsv.gz"
IMAGES_FOLDER = "images"
RECORDS_FILE = "ocr.jsonl"
RECORD_SHARDS = "ocr-*.jsonl"  # records written by several machines, as ocr-00000-of-00004.jsonl
MISNAMED = "the name is not <tconst>_<k> or <tconst>, as in tt0133093_1.jpg"
_NOT_LISTED = "a folder that cannot be listed"
_LINK_TO_FOLDER = "a link to a folder; those are not followed"
_NAME = re.compile(r"(tt[0-9]{7,10})(?:_([0-9]+))?")


class PosterFile(NamedTuple):
    """One poster on disk: `tt0012345_2` is the second poster of the film `tt0012345`."""

    poster_id: str
    film_id: str
    file: str  # its path; a text, because a pathlib.Path takes five times the memory, and folders hold 500,000

    @property
    def path(self) -> pathlib.Path:
        """Where it is."""
        return pathlib.Path(self.file)


class Skipped(NamedTuple):
    """Something left out, and why. `what` is a file, a poster or a film."""

    what: str
    reason: str


def shown(name: str) -> str:
    """A file's name as it may be printed anywhere: what is not printable, or no text at all, as a backslash escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def film_of(poster_id: str) -> str | None:
    """The film of the poster with this id, `tt0012345` of `tt0012345_2`; None for what is no poster's id."""
    name = _NAME.fullmatch(poster_id)
    return name[1] if name else None


def record_files(posters_dir: str | pathlib.Path) -> list[pathlib.Path]:
    """The files with OCR records in a folder of posters, `RECORD_SHARDS` in their order and then `RECORDS_FILE`."""
    folder = pathlib.Path(posters_dir)
    return [path for path in (*sorted(folder.glob(RECORD_SHARDS)), folder / RECORDS_FILE) if path.is_file()]


def find_posters(posters_dir: str | pathlib.Path) -> tuple[list[PosterFile], list[Skipped]]:
    """`find_posters_on_disk`, in memory: 250 bytes a poster."""
    posters, skipped = find_posters_on_disk(posters_dir)
    return list(posters), list(skipped)


def find_posters_on_disk(posters_dir: str | pathlib.Path) -> tuple[DiskList[PosterFile], DiskList[Skipped]]:
    """Lists the posters below `posters_dir`/images: `<tconst>_<k>.jpg` or `<tconst>.jpg`, sub-folders, png and webp too.

    Returns:
      The posters sorted by poster_id, and what was left out with the reason (a name that is no tconst, a second file with
      the same poster_id, a broken link, a pipe, a folder that cannot be listed or is a link). Files with other suffixes are
      not posters and are not mentioned.

    Raises:
      InputError: no such folder, no images folder in it, or no poster in that.
    """
    images = pathlib.Path(posters_dir) / IMAGES_FOLDER
    if not images.is_dir():
        raise InputError(
            f"data.posters_dir={str(posters_dir)!r} has no folder {IMAGES_FOLDER!r}. It must hold "
            f"{TITLES_FILE} and {IMAGES_FOLDER}/<tconst>_<k>.jpg; data/README.md shows the layout."
        )
    inside = len(os.path.join(images, ""))
    found: DiskList[PosterFile] = DiskList(PosterFile._make)
    passed_over: DiskList[_Listed] = DiskList(_Listed._make)
    files = sort_on_disk(_Listed._make, ((_order_key(file.stem, file.path), file) for file in _image_files(images)))
    for stem, same in itertools.groupby(files, key=lambda file: file.stem):
        first, film_id = None, film_of(stem)
        for file in same:
            if file.fault.startswith((_NOT_LISTED, _LINK_TO_FOLDER)) or (file.fault and film_id):
                passed_over.append(file)
            elif film_id is None:
                passed_over.append(file._replace(fault=MISNAMED))
            elif first is not None:
                fault = f"the poster {stem} is already there as {shown(first.path[inside:])}"
                passed_over.append(file._replace(fault=fault))
            else:
                first = file
                found.append(PosterFile(stem, film_id, file.path))
    in_order = sort_on_disk(_Listed._make, ((_order_key(file.path), file) for file in passed_over))
    skipped = DiskList(Skipped._make, (Skipped(shown(file.path[inside:]), file.fault) for file in in_order))
    if not found:
        raise InputError(
            f"{str(images)!r} holds no poster named <tconst>_<k> with one of the suffixes {', '.join(SUFFIXES)} "
            f"({_how_many(skipped)}). Name them as in tt0133093_1.jpg."
        )
    return found, skipped


def has_posters(posters_dir: str | pathlib.Path) -> bool:
    """Returns whether `find_posters` would find any poster; stops at the first one."""
    images = pathlib.Path(posters_dir) / IMAGES_FOLDER
    return images.is_dir() and any(film_of(file.stem) and not file.fault for file in _image_files(images))


class _Listed(NamedTuple):
    """A file or folder that is looked at; `fault`: why it is no poster, "" where nothing is known against it."""

    stem: str
    path: str
    fault: str


def _order_key(*names: str) -> bytes:
    """A key that orders names as texts, and the files of a folder before those of a folder whose name goes on."""
    return "\0".join(names).replace(os.sep, "\0").encode(errors="surrogatepass")


def _how_many(skipped: Sequence[Skipped]) -> str:
    if not skipped:
        return "and no other image"
    first = skipped[0]
    return f"{len(skipped)} left out, the first {(first.what or IMAGES_FOLDER)!r}: {first.reason}"


def _image_files(folder: pathlib.Path) -> Iterator[_Listed]:
    """What lies below a folder with an image's suffix, and why it cannot be read ("" if it can, as far as that is known
    without opening it); also the folders that are passed over, with the reason."""
    unread = [os.fspath(folder)]
    while unread:
        current = unread.pop()
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    stem, dot, suffix = entry.name.rpartition(".")
                    is_image = stem != "" and (dot + suffix).lower() in SUFFIXES
                    if entry.is_dir(follow_symlinks=False):
                        unread.append(entry.path)
                    elif is_image or entry.is_symlink():
                        fault = _fault(entry)
                        if is_image or fault == _LINK_TO_FOLDER:
                            yield _Listed(stem, entry.path, fault)
        except OSError as error:
            yield _Listed("", current, f"{_NOT_LISTED}: {error.strerror or error}")


def _fault(entry: os.DirEntry[str]) -> str:
    """Why what the entry leads to cannot be read."""
    try:
        if entry.is_file(follow_symlinks=False):  # the listing says so itself: no other question to the file system
            return ""
        mode = entry.stat().st_mode
    except FileNotFoundError:
        return "a link that leads to no file"
    except OSError as error:  # a link that leads to itself, or through a folder without permission
        return f"cannot be read: {error.strerror or error}"
    if stat.S_ISREG(mode):
        return ""
    return _LINK_TO_FOLDER if stat.S_ISDIR(mode) else "a pipe, a socket or a device, not a file"
