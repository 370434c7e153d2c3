"""Read class folders: one folder per label with its pictures; below train/, val/ and test/ where there is a split."""

import hashlib
import itertools
import os
import pathlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.datasets.sources.base import Entries, Entry, Pictures
from posterfusion_jax.datasets.sources.listed import Item, Listed, list_items, split_title, title_group
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.pictures import find_pictures
from posterfusion_jax.datasets.tables.columns import SPLIT_OF
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.decode import UnreadableImage, read_bytes
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.posters.image_files import shown
from posterfusion_jax.utils.disk_collections import sort_on_disk


class _Found(NamedTuple):
    """Hold one picture: the hash of its bytes, its file name without suffix, its path, label and split."""

    sha256: str
    name: str
    file: str
    label: str
    split: str

    @classmethod
    def from_json(cls, values: list[Any]) -> "_Found":
        return cls(*values)


class ClassFoldersSource:
    """Read labels from the names of folders. Equal files in several folders are one poster with several labels."""

    name, unit = "class_folders", "group"

    def __init__(self, folder: str | pathlib.Path):
        """Take the folder of the class folders."""
        self.place = str(folder)
        self._folder = pathlib.Path(folder)
        self._listed: Listed | None = None

    def list_pictures(self) -> Pictures:
        """Return the pictures in class folders. Raises InputError where there are none."""
        return self._read().pictures

    def read_entries(self, posters: Iterable[HasIds]) -> Entries:
        """Return the labels by poster_id."""
        return self._read().entries

    def hash_labels(self) -> str:
        """Return the hash of all labels, groups and splits."""
        return self._read().labels_hash

    def decisions(self) -> Mapping[str, Any]:
        """Return that the folders train, val and test are the split, where there are any."""
        entries = self._read().entries.by_key
        return {"data.split_by": "column"} if any(entry.split for _, entry in entries.items()) else {}

    def _read(self) -> Listed:
        if self._listed is None:
            self._listed = self._list()
        return self._listed

    def _list(self) -> Listed:
        found = find_pictures(self._folder)
        left_out, counts, labels = found.left_out, Counter[str](), Counter[str]()

        def pictures() -> Iterator[tuple[str, _Found]]:
            for name, file in found.pictures:
                split, label = _split_and_label(name)
                if not label:
                    left_out["picture in no class folder"].append(Skipped(shown(name), "it lies beside the class folders"))
                    continue
                try:
                    sha256 = hashlib.sha256(read_bytes(pathlib.Path(file))).hexdigest()
                except UnreadableImage as error:
                    left_out["unreadable image"].append(Skipped(shown(name), str(error)))
                    continue
                labels[label] += 1
                yield sha256 + name, _Found(sha256, name, file, label, split)

        in_order = sort_on_disk(_Found.from_json, pictures())
        if len(labels) < 2:
            raise InputError(
                f"data.images={self.place!r} has pictures in {len(labels)} class folders ({', '.join(labels) or 'none'}), and "
                "two or more are needed: one folder per label, such as Action/ and Comedy/, with its pictures."
            )
        how: list[str] = []
        listed = list_items(_items(in_order, counts), left_out, found.other_files, how)
        how += [
            f"labels: {len(labels)} folders: {', '.join(f'{label} {count:,}' for label, count in labels.most_common(12))}",
            f"{counts['several labels']:,} pictures lie in several folders and have several labels",
            f"group: title and year in the name of {counts['by title']:,} posters, the bytes of the picture for the others",
        ]
        if counts["split"]:
            how.append(f"split: the folders train, val and test, for {counts['split']:,} posters")
        return listed


def _items(found: Iterable[_Found], counts: Counter[str]) -> Iterator[Item]:
    """Yield one poster for all pictures with the same bytes."""
    for _, same in itertools.groupby(found, key=lambda picture: picture.sha256):
        yield _item(list(same), counts)


def _item(same: list[_Found], counts: Counter[str]) -> Item:
    first = same[0]
    title, year = split_title(os.path.basename(first.name))
    labels = tuple(dict.fromkeys(picture.label for picture in same))
    counts["several labels"] += len(labels) > 1
    counts["split"] += bool(first.split)
    counts["by title"] += year is not None
    group = title_group(title, year) if year is not None else f"sha256:{first.sha256[:32]}"
    has_title = year is not None or " " in title
    return Item(first.name, first.file, group, Entry(title if has_title else "", year, labels, first.split))


def _split_and_label(name: str) -> tuple[str, str]:
    """Return the split, "" without one, and the label of a picture's path; no label for a picture beside the folders."""
    folders = name.split(os.sep)[:-1]
    split = SPLIT_OF.get(folders[0].lower(), "") if len(folders) > 1 else ""
    return split, folders[1 if split else 0].strip() if folders else ""


def make(options: SourceOptions) -> ClassFoldersSource:
    """Return the source of class folders."""
    return ClassFoldersSource(options.folder)
