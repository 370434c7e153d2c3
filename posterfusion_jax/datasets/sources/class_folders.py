"""Read class folders: one folder per label with its pictures; below train/, val/ and test/ where there is a split."""

import hashlib
import os
import pathlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from posterfusion_jax.datasets.imdb_posters.image_check import hash_files
from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.datasets.sources.base import Entry, LeftOut
from posterfusion_jax.datasets.sources.file_names import printable_name, read_file_name
from posterfusion_jax.datasets.sources.labelled_pictures import LabelledPicture, first_split, merge_pictures
from posterfusion_jax.datasets.sources.listed import Item, Listed, ListedSource, check_folder, list_items, states_split
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.pictures import Picture, find_pictures
from posterfusion_jax.datasets.tables.columns import SPLIT_OF
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.decode import UnreadableImage
from posterfusion_jax.posters.folder import Skipped, describe_entries
from posterfusion_jax.posters.image_files import shown
from posterfusion_jax.utils.disk_collections import DiskList

_EXPECTED = "one folder per label, such as Action/ and Comedy/, with its pictures (or train/Action/, val/Action/, ...)"
_SYSTEM_FOLDERS = ("__macosx", "@eadir", "$recycle.bin")  # and hidden ones
_SHOWN = 12  # labels
_EMPTY = hashlib.sha256(b"").hexdigest()


class ClassFoldersSource(ListedSource):
    """Read labels from the names of folders. A picture that is in several folders is one poster with several labels."""

    name, unit = "class_folders", "group"

    def __init__(self, folder: str | pathlib.Path):
        """Take the folder of the class folders."""
        self.place = str(folder)
        self._folder = pathlib.Path(folder)
        self._listed: Listed | None = None

    def decisions(self) -> Mapping[str, Any]:
        """Return that the folders train, val and test are the split, where there are any."""
        entries = self._read().entries.by_key
        return {"data.split_by": "column"} if any(entry.split for _, entry in entries.items()) else {}

    def _read(self) -> Listed:
        if self._listed is None:
            check_folder(self._folder, _EXPECTED)
            found = find_pictures(self._folder)
            how: list[str] = []
            items = self._items(found.pictures, found.left_out, how)
            self._listed = list_items(items, found.left_out, found.other_files, how)
        return self._listed

    def _items(self, pictures: Iterable[Picture], left_out: LeftOut, how: list[str]) -> Iterator[Item]:
        counts = Counter[str]()
        named = _with_labels(pictures, left_out)
        labels, splits = Counter[str](), Counter[str]()
        for picture in named:
            labels[picture.label] += 1
            splits[picture.split] += 1
        if len(labels) < 2:
            raise self._too_few(labels, left_out)
        stated = states_split([split for split in splits if split])
        for same in merge_pictures(_with_hashes(named, left_out), left_out, counts):
            yield _make_item(same, counts, with_split=stated)
        how.extend(_describe(counts, labels, splits, with_split=stated))

    def _too_few(self, labels: Mapping[str, int], left_out: LeftOut) -> InputError:
        found = ", ".join(f"{label} {count:,}" for label, count in labels.items()) or "none"
        lost = "; ".join(f"{kind} {len(items):,}" for kind, items in left_out.items()) or "nothing"
        inner = self._folder / next(iter(labels), "")
        hint = f" If the class folders are in {str(inner)!r}, give that one." if labels else ""
        return InputError(
            f"data.images={self.place!r} has pictures in {len(labels)} class folders ({found}; left out: {lost}), and two or "
            f"more are needed; {describe_entries(self._folder)}.{hint} Expected: {_EXPECTED}."
        )


def split_and_label(name: str) -> tuple[str, str]:
    """Return the split, "" without one, and the label of a picture's path inside the folder; "" for no class folder."""
    folders = name.split(os.sep)[:-1]
    split = SPLIT_OF.get(folders[0].lower(), "") if folders else ""
    labels = folders[1:] if split else folders
    return split, " ".join(printable_name(labels[0]).split()) if labels else ""


def _with_labels(pictures: Iterable[Picture], left_out: LeftOut) -> DiskList[LabelledPicture]:
    """Return the pictures with the label and split of their path, without hashes; the others are left out."""
    found: DiskList[LabelledPicture] = DiskList(LabelledPicture._make)
    for name, file in pictures:
        folders = name.split(os.sep)[:-1]
        split, label = split_and_label(name)
        if any(folder.startswith(".") or folder.lower() in _SYSTEM_FOLDERS for folder in folders):
            left_out["picture in a system folder"].append(Skipped(shown(name), "hidden, or made by the system"))
        elif not label:
            reason = f"it is in no class folder of {split}" if split else "it is outside the class folders"
            left_out["picture in no class folder"].append(Skipped(shown(name), reason))
        else:
            found.append(LabelledPicture(name, file, label, split, ""))
    return found


def _with_hashes(pictures: DiskList[LabelledPicture], left_out: LeftOut) -> Iterator[LabelledPicture]:
    """Yield the pictures with the hashes of their bytes; those that cannot be read are left out."""
    hashes = hash_files((picture.file for picture in pictures), count=len(pictures))
    for picture, found in zip(pictures, hashes, strict=True):
        if isinstance(found, UnreadableImage):
            left_out["unreadable image"].append(Skipped(shown(picture.name), str(found)))
        elif found.sha256 == _EMPTY:  # such files are equal, and no poster of several labels
            left_out["unreadable image"].append(Skipped(shown(picture.name), "the file is empty (0 bytes)"))
        else:
            yield picture._replace(sha256=found.sha256)


def _make_item(same: list[LabelledPicture], counts: Counter[str], *, with_split: bool) -> Item:
    """Return the poster of pictures that are the same."""
    first = same[0]
    about = next((about for picture in same if (about := read_file_name(picture.file_name)).film or about.title), None)
    title, year, film = (about.title, about.year, about.film) if about else ("", None, "")
    labels = tuple(dict.fromkeys(picture.label for picture in same))
    splits = {picture.split for picture in same if picture.split} if with_split else set()
    split = first_split(splits)
    for what, holds in {
        "several labels": len(labels) > 1,
        "several splits": len(splits) > 1,
        "by title": film and year is not None,
        "by id": film and year is None,
        "titled": title,
    }.items():
        counts[what] += bool(holds)
    counts[split] += 1
    return Item(first.name, first.file, film or f"sha256:{first.sha256[:32]}", Entry(title, year, labels, split))


def _describe(counts: Mapping[str, int], labels: Counter[str], splits: Mapping[str, int], *, with_split: bool) -> Iterator[str]:
    """Yield what was decided, and the counts of everything."""
    listed = ", ".join(f"{label} {count:,}" for label, count in labels.most_common(_SHOWN))
    yield f"labels: the names of {len(labels):,} folders: {listed}{', ...' if len(labels) > _SHOWN else ''}"
    yield (
        f"{counts['posters']:,} posters of {counts['pictures']:,} pictures; {counts['several labels']:,} posters have several "
        f"labels ({counts['equal bytes']:,} by equal bytes in several folders, {counts['equal names']:,} by equal names alone)"
    )
    if counts["repeated names"]:
        yield (
            f"{counts['repeated names']:,} names without a title, as 1.jpg, are in several folders with different bytes: "
            "different posters"
        )
    others = counts["posters"] - counts["by title"] - counts["by id"]
    yield f"group: title and year in the name of {counts['by title']:,} posters, the bytes of the picture for {others:,}"
    if counts["by id"]:
        yield f"group: IMDb's id in the name of {counts['by id']:,} posters"
    yield f"titles: in the names of {counts['titled']:,} posters"
    if with_split:
        in_splits = ", ".join(f"{split} {counts[split]:,}" for split in SPLITS if counts[split])
        none = f", none {counts['']:,}" if counts[""] else ""
        yield f"split: the folders train, val and test: {in_splits}{none}"
        if counts["several splits"]:
            yield f"{counts['several splits']:,} posters are in several splits: test counts before validation and train"
    elif any(splits):
        yield f"split: none, because of train, val and test there is only {next(filter(None, splits))!r}"


def make(options: SourceOptions) -> ClassFoldersSource:
    """Return the source of class folders."""
    return ClassFoldersSource(options.folder)
