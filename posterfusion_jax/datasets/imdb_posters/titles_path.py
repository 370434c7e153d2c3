"""Find the titles file of a poster folder, also under the names and in the folders that browsers and archive tools make."""

import logging
import os
import pathlib
import re
from collections.abc import Iterator

from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import IMAGES_FOLDER, TITLES_FILE, describe_entries
from posterfusion_jax.posters.image_files import shown

SOURCE = "https://developer.imdb.com/non-commercial-datasets/"
_PACKING = r"(\.(gz|bz2|xz|zip))*"
# title.basics.tsv.gz, title_basics (1).tsv, TITLE.BASICS.TXT, title.basics.csv.zip
_TITLES = re.compile(rf"title[s]?[ ._-]?basics?[^.]*(\.(tsv|txt|csv))?[^.]*{_PACKING}", re.IGNORECASE)
_DATA = re.compile(rf"data(\.(tsv|txt|csv)){_PACKING}", re.IGNORECASE)  # as IMDb and Kaggle name the file in a folder
_SEARCHED = 1_000  # entries of a folder that are read


def find_titles(posters_dir: str | pathlib.Path) -> pathlib.Path:
    """Return the titles file of a poster folder.

    It is title.basics.tsv.gz or title.basics.tsv; else the only file with a similar name in the folder; else the only one in a
    folder of such a name; else the only data.tsv; else the only one in another folder. Any but the first two is logged.

    Raises:
      InputError: there is none, or there are several candidates of equal rank.
    """
    folder = pathlib.Path(posters_dir)
    packed = folder / TITLES_FILE
    for path in (packed, packed.with_suffix("")):
        if path.is_file():
            return path
    for candidates in _candidates(folder):
        if len(candidates) == 1:
            logging.warning("%s: titles are read from %s.", folder, shown(str(candidates[0].relative_to(folder))))
            return candidates[0]
        if candidates:
            names = ", ".join(repr(shown(str(path.relative_to(folder)))) for path in candidates)
            raise InputError(
                f"data.posters_dir={str(folder)!r} has no {TITLES_FILE}, and several candidates: {names}. Keep one "
                f"of them, or name the right one {TITLES_FILE} (or {packed.stem}, if it is not packed)."
            )
    found = describe_entries(folder) if folder.is_dir() else "it is no folder"
    empty = [name.name for name in (packed, packed.with_suffix("")) if name.is_dir()]
    found += f"; {empty[0]!r} is a folder without a file of titles in it" if empty else ""
    parent = folder.absolute().parent
    above = [path for path in (parent / TITLES_FILE, parent / packed.stem) if path.is_file()]
    hint = f" The folder above it has {above[0].name}: is that folder the one to name?" if above else ""
    raise InputError(
        f"data.posters_dir={str(folder)!r} has no {TITLES_FILE} (nor {packed.stem}); {found}.{hint} Download it from {SOURCE} "
        "and put it there unchanged; data/README.md shows the layout."
    )


def _candidates(folder: pathlib.Path) -> Iterator[list[pathlib.Path]]:
    """Yield lists of possible titles files, the most likely first."""
    files, folders = _entries(folder)
    yield [path for path in files if _TITLES.fullmatch(path.name)]
    named = [path for path in folders if _TITLES.fullmatch(path.name)]
    yield [found for path in named for found in _titles_in(path)]
    yield [path for path in files if _DATA.fullmatch(path.name)]
    others = [path for path in folders if path not in named and path.name.lower() != IMAGES_FOLDER]
    yield [path for other in others for path in _entries(other)[0] if _TITLES.fullmatch(path.name)]
    yield [found for path in others for sub in _entries(path)[1] if _TITLES.fullmatch(sub.name) for found in _titles_in(sub)]


def _titles_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the files of a folder named like a titles file: those of a known name, else its only one."""
    files, folders = _entries(folder)
    known = [path for path in files if _TITLES.fullmatch(path.name) or _DATA.fullmatch(path.name)]
    if known or len(files) == 1:
        return known or files
    return [found for path in folders if _TITLES.fullmatch(path.name) for found in _titles_in(path)]


def _entries(folder: pathlib.Path) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Return the files and folders in a folder, without hidden ones, each sorted."""
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for _, entry in zip(range(_SEARCHED), entries, strict=False):
                if not entry.name.startswith((".", "__MACOSX")):
                    (folders if entry.is_dir() else files).append(pathlib.Path(entry.path))
    except OSError:
        return [], []
    return sorted(files), sorted(folders)
