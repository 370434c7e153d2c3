"""The user's folder of posters: which file is which poster of which film."""

import os
import pathlib
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from posterfusion_jax.errors import InputError
from posterfusion_jax.images import SUFFIXES

TITLES_FILE = "title.basics.tsv.gz"
IMAGES_FOLDER = "images"
RECORDS_FILE = "ocr.jsonl"
RECORD_SHARDS = "ocr-*.jsonl"  # records written by several machines, as ocr-00000-of-00004.jsonl
MISNAMED = "the name is not <tconst>_<k> or <tconst>, as in tt0133093_1.jpg"
_NAME = re.compile(r"(tt\d{7,10})(?:_(\d+))?")


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


def film_of(poster_id: str) -> str | None:
    """The film of the poster with this id, `tt0012345` of `tt0012345_2`; None for what is no poster's id."""
    name = _NAME.fullmatch(poster_id)
    return name[1] if name else None


def record_files(posters_dir: str | pathlib.Path) -> list[pathlib.Path]:
    """The files with OCR records in a folder of posters, `RECORD_SHARDS` in their order and then `RECORDS_FILE`."""
    folder = pathlib.Path(posters_dir)
    return [path for path in (*sorted(folder.glob(RECORD_SHARDS)), folder / RECORDS_FILE) if path.is_file()]


def find_posters(posters_dir: str | pathlib.Path) -> tuple[list[PosterFile], list[Skipped]]:
    """Lists the posters below `posters_dir`/images: `<tconst>_<k>.jpg` or `<tconst>.jpg`, sub-folders, png and webp too.

    Returns:
      The posters sorted by poster_id, and the image files left out with the reason (a name that is no tconst, a second
      file with the same poster_id, a broken link). Files with other suffixes are not posters and are not mentioned.

    Raises:
      InputError: no such folder, no images folder in it, or no poster in that.
    """
    images = pathlib.Path(posters_dir) / IMAGES_FOLDER
    if not images.is_dir():
        raise InputError(
            f"data.posters_dir={str(posters_dir)!r} has no folder {IMAGES_FOLDER!r}. It must hold "
            f"{TITLES_FILE} and {IMAGES_FOLDER}/<tconst>_<k>.jpg; data/README.md shows the layout."
        )
    found: dict[str, PosterFile] = {}
    skipped = []
    inside = len(os.path.join(images, ""))
    for file, is_file in sorted(_image_files(images), key=lambda listed: listed[0].replace(os.sep, "\0")):
        stem = os.path.basename(file).rpartition(".")[0]
        film_id = film_of(stem)
        if film_id is None:
            skipped.append(Skipped(file[inside:], MISNAMED))
        elif not is_file:
            skipped.append(Skipped(file[inside:], "a link that leads to no file"))
        elif stem in found:
            skipped.append(Skipped(file[inside:], f"the poster {stem} is already there as {found[stem].file[inside:]}"))
        else:
            found[stem] = PosterFile(stem, sys.intern(film_id), file)
    if not found:
        raise InputError(
            f"{str(images)!r} holds no poster named <tconst>_<k> with one of the suffixes {', '.join(SUFFIXES)} "
            f"({len(skipped)} image files with other names). Rename them as in tt0133093_1.jpg."
        )
    return [found[poster_id] for poster_id in sorted(found)], skipped


def _image_files(folder: pathlib.Path) -> Iterator[tuple[str, bool]]:
    """The files below a folder with an image's suffix, and whether there is a file behind the name. Links to folders are
    not followed."""
    unread = [os.fspath(folder)]
    while unread:
        try:
            entries = list(os.scandir(unread.pop()))
        except PermissionError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                unread.append(entry.path)
            elif pathlib.PurePath(entry.name).suffix.lower() in SUFFIXES and not entry.is_dir():
                yield entry.path, entry.is_file()
