"""List the user's folder of posters: which file is which poster of which film."""

import itertools
import logging
import os
import pathlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.decode import SUFFIXES
from posterfusion_jax.posters.image_files import (
    LINK_TO_FOLDER,
    NOT_LISTED,
    ListedFile,
    OtherFiles,
    format_other_files,
    list_files,
    shown,
)
from posterfusion_jax.utils.disk_collections import DiskList, sort_on_disk

TITLES_FILE = "title.basics.tsv.gz"
IMAGES_FOLDER = "images"
RECORDS_FILE = "ocr.jsonl"
RECORD_SHARDS = "ocr-*.jsonl"  # records written by several machines, as ocr-00000-of-00004.jsonl
MISNAMED = "the name is not <tconst>_<k> or <tconst>, as in tt0133093_1.jpg"
_OUTSIDE = f"outside {IMAGES_FOLDER}/"
_RECORDS = re.compile(r"ocr(\.jsonl?|-.*\.jsonl)(\.(gz|bz2|xz|zip))?")
_LIKE_RECORDS = re.compile(r"ocr.*\.(json|jsonl|ndjson)(\.(gz|bz2|xz|zip|txt|zst|7z))?", re.IGNORECASE)
_SEARCHED = 20_000  # number of files searched for a poster in a folder of another name
_SHOWN_ENTRIES = 8
_NAME = re.compile(r"(tt[0-9]{7,10})(?:_([0-9]+))?")


class PosterFile(NamedTuple):
    """Hold one poster on disk: `tt0012345_2` is the second poster of the film `tt0012345`."""

    poster_id: str
    film_id: str
    file: str  # its path as str, because a pathlib.Path takes five times the memory, and folders hold 500,000 files

    @property
    def path(self) -> pathlib.Path:
        """Return the file's path."""
        return pathlib.Path(self.file)


class Skipped(NamedTuple):
    """Hold a file, poster or film (`what`) that was left out, and the reason."""

    what: str
    reason: str


class FolderContents(NamedTuple):
    """Hold the contents of a folder of posters.

    Attributes:
      posters: sorted by poster_id.
      skipped: images that are not read, and files that may be images, each with the reason.
      other_files: files that are no images, counted by kind.
    """

    posters: DiskList[PosterFile]
    skipped: DiskList[Skipped]
    other_files: OtherFiles


def film_of(poster_id: str) -> str | None:
    """Return the film of a poster id, `tt0012345` for `tt0012345_2`; None if it is no poster id."""
    name = _NAME.fullmatch(poster_id)
    return name[1] if name else None


def record_files(posters_dir: str | pathlib.Path) -> list[pathlib.Path]:
    """Return the OCR record files in a folder of posters: `RECORD_SHARDS` in order, then `RECORDS_FILE`.

    Each may also be packed or named .json. Files with similar names are logged.
    """
    folder = pathlib.Path(posters_dir)
    names = _file_names(folder)
    shards = [name for name in names if _RECORDS.fullmatch(name) and name.startswith("ocr-")]
    whole = [name for name in names if _RECORDS.fullmatch(name) and not name.startswith("ocr-")]
    for name in names:
        if _LIKE_RECORDS.fullmatch(name) and name not in (*shards, *whole):
            logging.warning("%s: %r is not read; OCR records are named as in %s.", folder, name, RECORDS_FILE)
    return [folder / name for name in (*shards, *sorted(whole, key=lambda name: (name == RECORDS_FILE, name)))]


def _file_names(folder: pathlib.Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    except OSError:
        return []


def find_posters(posters_dir: str | pathlib.Path) -> tuple[list[PosterFile], list[Skipped]]:
    """Return the posters and skipped files of `list_folder` as lists in memory, 250 bytes per poster."""
    posters, skipped = find_posters_on_disk(posters_dir)
    return list(posters), list(skipped)


def find_posters_on_disk(posters_dir: str | pathlib.Path) -> tuple[DiskList[PosterFile], DiskList[Skipped]]:
    """Return the posters and skipped files of `list_folder`."""
    return list_folder(posters_dir)[:2]


def list_folder(posters_dir: str | pathlib.Path) -> FolderContents:
    """List the posters below `posters_dir`/images: `<tconst>_<k>.jpg` or `<tconst>.jpg`, sub-folders and other suffixes too.

    Where there is no folder of that name, the only place in `posters_dir` that holds posters is taken instead, with a warning.
    A file without an image suffix may be an image by its content (`image_files`).

    Returns:
      Every file, as a poster, as skipped with the reason (a name that is no tconst, a second file with the same poster_id, a
      broken link, a pipe, a format that is not read, a folder that cannot be listed or is a link), or counted by kind.

    Raises:
      InputError: no such folder, no images folder in it, posters in several places, or no poster at all.
    """
    images, sub_folders = _find_images(pathlib.Path(posters_dir))
    inside = len(os.path.join(images, ""))
    found: DiskList[PosterFile] = DiskList(PosterFile._make)
    not_read: DiskList[ListedFile] = DiskList(ListedFile._make)
    others = OtherFiles()
    files = _candidates(list_files(images, sub_folders=sub_folders), others)
    in_order = sort_on_disk(ListedFile._make, ((_order_key(file.stem, str(file.rank), file.path), file) for file in files))
    for stem, same in itertools.groupby(in_order, key=lambda file: file.stem):
        first, film_id = None, film_of(stem)
        for file in same:
            if file.fault.startswith((NOT_LISTED, LINK_TO_FOLDER)) or (file.fault and film_id):
                not_read.append(file)
            elif film_id is None:
                not_read.append(file._replace(fault=MISNAMED))
            elif first is not None:
                fault = f"the poster {stem} is already there as {shown(first.path[inside:])}"
                not_read.append(file._replace(fault=fault))
            else:
                first = file
                found.append(PosterFile(stem, film_id, file.path))
    by_path = sort_on_disk(ListedFile._make, ((_order_key(file.path), file) for file in not_read))
    skipped = DiskList(Skipped._make, (Skipped(shown(file.path[inside:]), file.fault) for file in by_path))
    if sub_folders:
        others.update({_OUTSIDE: outside} if (outside := sum(_has_posters(images.parent))) else {})
    if not found:
        raise InputError(
            f"{str(images)!r} holds no poster named <tconst>_<k> with one of the suffixes {', '.join(SUFFIXES)} "
            f"({_how_many(skipped, others)}). Name them as in tt0133093_1.jpg."
        )
    return FolderContents(found, skipped, others)


def has_posters(posters_dir: str | pathlib.Path) -> bool:
    """Return whether a poster is among the first files of a folder. Raises InputError as `find_posters`."""
    images, deep = _find_images(pathlib.Path(posters_dir), warn=False)
    return any(_has_posters(images, deep=deep))


def format_skipped(skipped: Iterable[Skipped], other_files: OtherFiles) -> list[str]:
    """Return one line for each reason, with a count and the first file, and one for the files that are no images."""
    counts, first = Counter[str](), {}
    for item in skipped:
        reason = "a second file of the same poster" if "is already there as" in item.reason else item.reason.partition(":")[0]
        counts[reason] += 1
        first.setdefault(reason, item.what)
    lines = [f"{count:,} skipped: {reason} (the first: {first[reason]!r})" for reason, count in counts.most_common()]
    return lines + [line for line in [format_other_files(other_files)] if line]


def describe_entries(folder: pathlib.Path) -> str:
    """Return a short description of a folder's direct contents for error messages; folders end with a slash."""
    try:
        names = sorted(entry.name + "/" * entry.is_dir() for entry in os.scandir(folder))
    except OSError as error:
        return f"it cannot be listed: {error.strerror or error}"
    more = f" and {len(names) - _SHOWN_ENTRIES:,} more" if len(names) > _SHOWN_ENTRIES else ""
    listed = ", ".join(repr(shown(name)) for name in names[:_SHOWN_ENTRIES])
    return f"it holds {listed}{more}" if names else "it is empty"


def _candidates(files: Iterable[ListedFile], others: OtherFiles) -> Iterator[ListedFile]:
    """Yield the files that are images, or that have a poster's name without being one; count the others."""
    for file in files:
        if file.other and not (file.fault and film_of(file.stem)):
            others.add(file.other)
        else:
            yield file


def _find_images(folder: pathlib.Path, *, warn: bool = True) -> tuple[pathlib.Path, bool]:
    """Return the folder with the posters, and whether its sub-folders count too.

    Raises:
      InputError: there is none, or there are several candidates.
    """
    images = folder / IMAGES_FOLDER
    if images.is_dir() and any(not file.other for file in list_files(images)):
        return images, True
    names = _sub_folders(folder)
    spelled = [name for name in names if name.lower() == IMAGES_FOLDER and name != IMAGES_FOLDER]
    holders = spelled if len(spelled) == 1 else [name for name in names if any(_has_posters(folder / name, deep=True))]
    if any(_has_posters(folder)):
        holders.append(".")
    if len(holders) == 1:
        if warn:
            logging.warning("%s: the posters are read from %r, as %r is missing or empty.", folder, holders[0], IMAGES_FOLDER)
        return folder / holders[0], holders[0] != "."
    if holders:
        places = ", ".join("the folder itself" if name == "." else repr(f"{shown(name)}/") for name in holders)
        raise InputError(
            f"data.posters_dir={str(folder)!r} has no folder {IMAGES_FOLDER!r} with images in it, and posters in several "
            f"places: {places}. Put them all into one folder named {IMAGES_FOLDER!r}; {TITLES_FILE} stays next to it."
        )
    if images.is_dir():
        return images, True
    found = describe_entries(folder) if folder.is_dir() else "it is no folder"
    raise InputError(
        f"data.posters_dir={str(folder)!r} has no folder {IMAGES_FOLDER!r} ({found}). It must hold "
        f"{TITLES_FILE} and {IMAGES_FOLDER}/<tconst>_<k>.jpg; data/README.md shows the layout."
    )


def _sub_folders(folder: pathlib.Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return []


def _has_posters(folder: pathlib.Path, *, deep: bool = False) -> Iterator[bool]:
    """Yield True per poster among a folder's files and, with `deep`, those of sub-folders, `_SEARCHED` files at most."""
    files = list_files(folder, sub_folders=deep) if folder.is_dir() else iter(())
    for file in itertools.islice(files, _SEARCHED if deep else None):
        if not file.other and not file.fault and film_of(file.stem):
            yield True


def _order_key(*names: str) -> bytes:
    """Return a key that orders names as texts, and the files of a folder before those of `<folder><suffix>`."""
    return "\0".join(names).replace(os.sep, "\0").encode(errors="surrogatepass")


def _how_many(skipped: Sequence[Skipped], others: OtherFiles) -> str:
    other = format_other_files(others)
    if not skipped:
        return f"and no other image; {other}" if other else "and no other image"
    first = skipped[0]
    count = f"{len(skipped)} left out, the first {(first.what or IMAGES_FOLDER)!r}: {first.reason}"
    return f"{count}; {other}" if other else count
