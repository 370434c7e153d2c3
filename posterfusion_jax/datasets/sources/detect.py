"""Find out what kind of source a folder is, from its names alone."""

import itertools
import os
import pathlib
import re
from collections import Counter

from posterfusion_jax.datasets.imdb_posters.titles import find_titles
from posterfusion_jax.datasets.sources.class_folders import split_and_label
from posterfusion_jax.datasets.tables.open_table import is_table_name
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import IMAGES_FOLDER, describe_entries
from posterfusion_jax.posters.image_files import list_files, shown

_SEARCHED = 20_000  # files
_SHARE_OF_NFO = 0.02  # of the number of pictures; films of a library have many pictures each
_WORD = re.compile(r"[^\W\d_]{2}")  # in the name of a label; folders such as 1994/ or 0a/ are none
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
    found = _Found(folder)
    if found.nfo and found.nfo >= _SHARE_OF_NFO * found.pictures:
        return "nfo", [f"it has {found.nfo:,} NFO files and {found.pictures:,} pictures"]
    if found.with_json and ((folder / "split.json").is_file() or found.with_json >= 0.5 * found.pictures):
        return "mm_imdb", [f"{found.with_json:,} of {found.pictures:,} pictures have a JSON file of the same name"]
    if found.is_classes():
        return "class_folders", [f"{len(found.classes)} folders have pictures ({found.list_classes()})"]
    tables = [name for name in sorted(os.listdir(folder)) if is_table_name(name)]
    hint = f" Is {tables[0]!r} the table of their labels? Then give --table={folder / tables[0]} as well." if tables else ""
    if len(found.classes) == 1:
        inner = folder / next(iter(found.classes))
        hint += f" If the data are in {str(inner)!r}, give that folder."
    raise InputError(
        f"data.images={str(folder)!r} is of no known kind: {describe_entries(folder)}; {found.describe()}.{hint} "
        f"Known are {_KINDS}. With labels in a table, give --table=FILE; for a kind that is not detected, "
        "--config.data.source=KIND."
    )


class _Found:
    """Count the files of a folder, the first `_SEARCHED` that the file system lists.

    Attributes:
      pictures: number of pictures.
      beside: those in no class folder.
      with_json: those with a JSON file of the same name.
      nfo: number of NFO files.
      classes: class folder -> pictures.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.pictures = self.beside = self.with_json = self.nfo = 0
        self.classes = Counter[str]()
        root = os.path.join(os.path.abspath(folder), "")
        for file in itertools.islice(list_files(root), _SEARCHED):
            if file.path.lower().endswith(".nfo"):
                self.nfo += 1
            if file.other or file.fault:
                continue
            self.pictures += 1
            self.with_json += os.path.exists(f"{os.path.splitext(file.path)[0]}.json")
            _, label = split_and_label(file.path[len(root) :])
            if label:
                self.classes[label] += 1
            else:
                self.beside += 1

    def is_classes(self) -> bool:
        """Return whether the folders are labels: they have most pictures, two or more on average, and words as names."""
        words = sum(bool(_WORD.search(label)) for label in self.classes)
        filled = self.pictures - self.beside
        return len(self.classes) >= 2 and filled >= 0.5 * self.pictures and filled >= 2 * len(self.classes) <= 4 * words

    def list_classes(self) -> str:
        """Return the largest class folders with their numbers of pictures."""
        largest = sorted(self.classes.items(), key=lambda item: (-item[1], item[0]))[:8]
        listed = ", ".join(f"{shown(label)} {count:,}" for label, count in largest)
        return f"{listed}, ..." if len(self.classes) > 8 else listed

    def describe(self) -> str:
        """Return the counts, in words."""
        in_folders = f" ({self.list_classes()})" if self.classes else ""
        return (
            f"{self.pictures:,} pictures, {self.beside:,} of them in no class folder and {self.with_json:,} with a JSON file; "
            f"{len(self.classes):,} folders with pictures{in_folders}; {self.nfo:,} NFO files"
        )
