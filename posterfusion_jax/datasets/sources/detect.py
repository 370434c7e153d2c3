"""Find out what kind of source a folder is, from the names of its files."""

import itertools
import os
import pathlib
from collections import Counter
from typing import NamedTuple

from posterfusion_jax.datasets.imdb_posters.titles import find_titles
from posterfusion_jax.datasets.sources.mm_imdb_split import LIST_FILE, SPLIT_FILE
from posterfusion_jax.datasets.tables.columns import SPLIT_OF
from posterfusion_jax.datasets.tables.open_table import is_table_name
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import IMAGES_FOLDER, describe_entries, film_of
from posterfusion_jax.posters.image_files import list_files, shown

_SEARCHED = 20_000  # files
_SHARE = 0.5  # of the pictures, or of the folders with pictures, that a kind must explain
_SHOWN = 8  # folders in messages
_KINDS = (
    "a folder of films (title.basics.tsv.gz and images/tt0133093_1.jpg), class folders (Action/ and Comedy/ with pictures), "
    "MM-IMDb (dataset/0114709.jpeg with a JSON file each), a media library (<film>/movie.nfo and poster.jpg), or a folder of "
    "Hugging Face's save_to_disk (dataset_info.json)"
)


class _Contents(NamedTuple):
    """Hold what a folder and its sub-folders have; at most `_SEARCHED` files are counted.

    Attributes:
      pictures: how many.
      named_by_film: how many pictures in images/ have a name such as tt0133093_1.
      with_json: how many pictures have a JSON file of their name.
      outside: how many pictures are in no sub-folder.
      nfo_files: how many.
      with_nfo: how many folders have pictures and an NFO file.
      below_nfo: how many folders with pictures are one of these, or directly below one.
      folders: how many folders have pictures.
      classes: pictures by the folder that would be their label.
    """

    pictures: int
    named_by_film: int
    with_json: int
    outside: int
    nfo_files: int
    with_nfo: int
    below_nfo: int
    folders: int
    classes: Counter[str]


def detect_source(folder: str | pathlib.Path) -> tuple[str, list[str]]:
    """Return the name of the source that a folder is, and the reasons.

    Raises:
      InputError: it is of no known kind; the message lists what it holds and how each kind looks.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputError(f"data.images={str(folder)!r} is no folder. Name {_KINDS}.")
    if (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    ):
        return "hugging_face", ["it has the files of datasets.save_to_disk"]
    found = _count(folder)
    if found.named_by_film:
        try:
            titles = find_titles(folder).name
            return "folder", [f"it has {titles}, and {found.named_by_film:,} pictures in images/ are named by IMDb's ids"]
        except InputError:
            pass  # no titles: another kind, or none
    stated = [name for name in (SPLIT_FILE, LIST_FILE) if (folder / name).is_file()]
    if found.with_json and (stated or found.with_json >= _SHARE * found.pictures):
        reasons = [f"{found.with_json:,} of {found.pictures:,} pictures have a JSON file of their name"]
        return "mm_imdb", reasons + [f"it has {name}" for name in stated]
    if found.with_nfo and found.below_nfo >= _SHARE * found.folders:
        return "nfo", [f"it has {found.nfo_files:,} NFO files", f"{found.with_nfo:,} folders have one and pictures"]
    if len(found.classes) >= 2 and sum(found.classes.values()) >= _SHARE * found.pictures:
        listed = ", ".join(f"{shown(name)} {count:,}" for name, count in found.classes.most_common(_SHOWN))
        more = ", ..." if len(found.classes) > _SHOWN else ""
        return "class_folders", [f"{len(found.classes):,} folders have pictures ({listed}{more})"]
    raise _unknown(folder, found)


def _unknown(folder: pathlib.Path, found: _Contents) -> InputError:
    tables = [name for name in sorted(os.listdir(folder)) if is_table_name(name)]
    hint = (
        f" Is {shown(tables[0])!r} the table of their labels? Then give --table={folder / tables[0]} as well." if tables else ""
    )
    counts = (
        f"{found.pictures:,} pictures, {found.outside:,} of them in no sub-folder, in {len(found.classes):,} class folders; "
        f"{found.named_by_film:,} named by IMDb's ids, {found.with_json:,} with a JSON file, {found.nfo_files:,} NFO files"
    )
    return InputError(
        f"data.images={str(folder)!r} is of no known kind: {describe_entries(folder)}; {counts}.{hint} Known are {_KINDS}. "
        "With labels in a table, give --table=FILE."
    )


def _count(folder: pathlib.Path) -> _Contents:
    counts, classes = Counter[str](), Counter[str]()
    with_pictures, with_nfo = set[str](), set[str]()
    root = os.path.join(os.path.abspath(folder), "")
    for file in itertools.islice(list_files(root), _SEARCHED):
        parent = os.path.dirname(file.path)
        if file.other == ".nfo" and not file.fault:
            counts["nfo"] += 1
            with_nfo.add(parent)
        if file.other or file.fault:
            continue
        folders = file.path[len(root) :].split(os.sep)[:-1]
        if any(name.startswith(".") for name in folders):
            continue
        with_pictures.add(parent)
        counts["pictures"] += 1
        counts["json"] += os.path.exists(f"{os.path.splitext(file.path)[0]}.json")
        counts["film"] += film_of(file.stem) is not None and folders[:1] == [IMAGES_FOLDER]
        if len(folders) > 1 and folders[0].lower() in SPLIT_OF:
            folders = folders[1:]
        if folders:
            classes[folders[0]] += 1
        else:
            counts["outside"] += 1
    films = with_nfo & with_pictures
    return _Contents(
        pictures=counts["pictures"],
        named_by_film=counts["film"],
        with_json=counts["json"],
        outside=counts["outside"],
        nfo_files=counts["nfo"],
        with_nfo=len(films),
        below_nfo=sum(parent in films or os.path.dirname(parent) in films for parent in with_pictures),
        folders=len(with_pictures),
        classes=classes,
    )
