"""The user's folder of posters: which file is which poster of which film."""

import pathlib
import re
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
    path: pathlib.Path


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
    for path in sorted(p for p in images.rglob("*") if p.suffix.lower() in SUFFIXES and not p.is_dir()):
        film_id = film_of(path.stem)
        relative = str(path.relative_to(images))
        if film_id is None:
            skipped.append(Skipped(relative, MISNAMED))
        elif not path.is_file():
            skipped.append(Skipped(relative, "a link that leads to no file"))
        elif path.stem in found:
            skipped.append(
                Skipped(relative, f"the poster {path.stem} is already there as {found[path.stem].path.relative_to(images)}")
            )
        else:
            found[path.stem] = PosterFile(path.stem, film_id, path)
    if not found:
        raise InputError(
            f"{str(images)!r} holds no poster named <tconst>_<k> with one of the suffixes {', '.join(SUFFIXES)} "
            f"({len(skipped)} image files with other names). Rename them as in tt0133093_1.jpg."
        )
    return [found[poster_id] for poster_id in sorted(found)], skipped
