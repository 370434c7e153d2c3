"""Find out what kind of source a folder is, from its names alone."""

import itertools
import os
import pathlib
from collections import Counter

from posterfusion_jax.datasets.imdb_posters.titles import find_titles
from posterfusion_jax.datasets.tables.columns import SPLIT_OF
from posterfusion_jax.datasets.tables.open_table import is_table_name
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import IMAGES_FOLDER, describe_entries
from posterfusion_jax.posters.image_files import list_files

_SEARCHED = 20_000  # files
_KINDS = (
    "a folder of films (title.basics.tsv.gz and images/tt0133093_1.jpg), class folders (Action/ and Comedy/ with pictures), "
    "MM-IMDb (dataset/0114709.jpeg with a JSON file each), a media library (<film>/movie.nfo and poster.jpg), or a folder of "
    "Hugging Face's save_to_disk (dataset_info.json)"
)


def detect_source(folder: str | pathlib.Path) -> tuple[str, list[str]]:
    """Return the name of the source that a folder is, and the reasons.

    Raises:
      InputError: it is of no known kind; the message lists what it holds and what each kind looks like.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputError(f"data.images={str(folder)!r} is no folder. Name {_KINDS}.")
    if (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    ):
        return "hugging_face", ["it has the files of datasets.save_to_disk"]
    if (folder / IMAGES_FOLDER).is_dir():
        try:
            return "folder", [f"it has {find_titles(folder).name} and {IMAGES_FOLDER}/"]
        except InputError:
            pass  # no titles: another kind, or none
    names, classes, beside = _count(folder)
    if names[".nfo"]:
        return "nfo", [f"it has {names['.nfo']:,} NFO files"]
    if names["json of a picture"] and (
        (folder / "split.json").is_file() or names["json of a picture"] >= 0.5 * names["picture"]
    ):
        return "mm_imdb", [f"{names['json of a picture']:,} pictures have a JSON file beside them"]
    if len(classes) >= 2 and sum(classes.values()) >= 0.5 * names["picture"]:
        listed = ", ".join(f"{name} {count:,}" for name, count in classes.most_common(8))
        return "class_folders", [f"{len(classes)} folders have pictures ({listed})"]
    tables = [name for name in sorted(os.listdir(folder)) if is_table_name(name)]
    hint = f" Is {tables[0]!r} the table of their labels? Then give --table={folder / tables[0]} as well." if tables else ""
    raise InputError(
        f"data.images={str(folder)!r} is of no known kind: {describe_entries(folder)}; {names['picture']:,} pictures, "
        f"{beside:,} of them in no sub-folder.{hint} Known are {_KINDS}. With labels in a table, give --table=FILE."
    )


def _count(folder: pathlib.Path) -> tuple[Counter[str], Counter[str], int]:
    """Return the number of files by kind, of pictures by class folder, and of pictures beside the folders."""
    names, classes, beside = Counter[str](), Counter[str](), 0
    root = os.path.join(os.path.abspath(folder), "")
    for file in itertools.islice(list_files(root), _SEARCHED):
        if file.path.lower().endswith(".nfo"):
            names[".nfo"] += 1
        if file.other or file.fault:
            continue
        names["picture"] += 1
        names["json of a picture"] += os.path.exists(f"{os.path.splitext(file.path)[0]}.json")
        folders = file.path[len(root) :].split(os.sep)[:-1]
        if len(folders) > 1 and folders[0].lower() in SPLIT_OF:
            folders = folders[1:]
        if folders:
            classes[folders[0]] += 1
        else:
            beside += 1
    return names, classes, beside
