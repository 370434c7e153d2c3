"""The user's folder of posters: which file is which poster of which film."""

import pathlib
import re
from typing import NamedTuple

from posterfusion_jax.errors import InputError
from posterfusion_jax.images import SUFFIXES

TITLES_FILE = "title.basics.tsv.gz"
IMAGES_FOLDER = "images"
RECORDS_FILE = "ocr.jsonl"
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
        name = _NAME.fullmatch(path.stem)
        relative = str(path.relative_to(images))
        if name is None:
            skipped.append(Skipped(relative, "the name is not <tconst>_<k> or <tconst>, as in tt0133093_1.jpg"))
        elif not path.is_file():
            skipped.append(Skipped(relative, "a link that leads to no file"))
        elif path.stem in found:
            skipped.append(
                Skipped(relative, f"the poster {path.stem} is already there as {found[path.stem].path.relative_to(images)}")
            )
        else:
            found[path.stem] = PosterFile(path.stem, name[1], path)
    if not found:
        raise InputError(
            f"{str(images)!r} holds no poster named <tconst>_<k> with one of the suffixes {', '.join(SUFFIXES)} "
            f"({len(skipped)} image files with other names). Rename them as in tt0133093_1.jpg."
        )
    return [found[poster_id] for poster_id in sorted(found)], skipped
