"""Read class folders: one folder per label with its pictures; below train/, val/ and test/ where there is a split."""

import hashlib
import itertools
import os
import pathlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.datasets.sources.base import Entries, Entry, Pictures
from posterfusion_jax.datasets.sources.listed import Item, Listed, Notes, list_items, split_title, title_group
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.pictures import FoundPictures, find_pictures
from posterfusion_jax.datasets.tables.columns import SPLIT_OF
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.decode import UnreadableImage, read_bytes
from posterfusion_jax.posters.folder import Skipped, film_of
from posterfusion_jax.posters.image_files import shown
from posterfusion_jax.utils.disk_collections import sort_on_disk

_ORDER = ("test", "validation", "train", "")  # of splits: where a picture lies in several, the first counts
_LETTERS = re.compile(r"[^\W\d_]{2}")
_HASH = re.compile(r"[0-9a-fA-F-]{16,}")


class _Found(NamedTuple):
    """Hold one picture: the hash of its bytes, its path below the folder without suffix, its file, labels and splits."""

    sha256: str
    name: str
    file: str
    labels: tuple[str, ...]
    splits: tuple[str, ...]

    @classmethod
    def from_json(cls, values: list[Any]) -> "_Found":
        sha256, name, file, labels, splits = values
        return cls(sha256, name, file, tuple(labels), tuple(splits))


class ClassFoldersSource:
    """Read labels from the names of folders.

    Pictures with equal bytes in several folders are one poster with several labels; so are those that are named by the same
    film, "The Matrix (1999)" or "tt0133093_1". Equal names of another form, such as "0001", may belong to different posters.
    """

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
        counts, labels, notes = Counter[str](), Counter[str](), Notes()
        pictures = sort_on_disk(_Found.from_json, _hashed(found, labels))
        by_bytes = (_merge(list(same)) for _, same in itertools.groupby(pictures, key=lambda picture: picture.sha256))
        by_name = sort_on_disk(_Found.from_json, ((_name_key(picture), picture) for picture in by_bytes))
        if len(labels) < 2:
            raise self._too_few(labels, found)
        how: list[str] = []
        listed = list_items(_items(by_name, counts, notes), found.left_out, found.other_files, how, notes)
        how += [
            f"labels: {len(labels)} folders: {', '.join(f'{label} {count:,}' for label, count in labels.most_common(12))}",
            f"{counts['several labels']:,} pictures lie in several folders and have several labels "
            f"({counts['by name']:,} of them by id or title and year in their name, the others by equal bytes)",
            f"group: title and year in the name of {counts['title']:,} posters, the bytes of the picture for {counts['bytes']:,}",
        ]
        if counts["imdb"]:
            how.append(f"group: IMDb's id in the name of {counts['imdb']:,} posters")
        if counts["split"]:
            how.append(f"split: the folders train, val and test, for {counts['split']:,} posters")
        if counts["several splits"]:
            how.append(f"{counts['several splits']:,} pictures lie in several of train, val and test: test counts before val")
        return listed

    def _too_few(self, labels: Counter[str], found: FoundPictures) -> InputError:
        names = ", ".join(f"{label} {count:,}" for label, count in labels.items()) or "none"
        left_out = "; ".join(f"{kind} {len(items):,}" for kind, items in found.left_out.items())
        inner = self._folder / next(iter(labels), "")
        hint = f" If the class folders are in {str(inner)!r}, give that one." if labels else ""
        return InputError(
            f"data.images={self.place!r} has pictures in {len(labels)} class folders ({names}; "
            f"left out: {left_out or 'nothing'}), and two or more are needed: one folder per label, such as Action/ and "
            f"Comedy/, with its pictures.{hint}"
        )


def _hashed(found: FoundPictures, labels: Counter[str]) -> Iterator[tuple[str, _Found]]:
    """Yield the pictures in class folders with the hash of their bytes, and count those of each label."""
    for name, file in found.pictures:
        split, label = split_and_label(name)
        if not label:
            reason = "it is beside the class folders" if not split else f"it is in no class folder below {split!r}"
            found.left_out["picture in no class folder"].append(Skipped(shown(name), reason))
            continue
        try:
            data = read_bytes(pathlib.Path(file))
            if not data:  # such files are equal, and are no poster of several labels
                raise UnreadableImage("the file is empty (0 bytes)")
        except UnreadableImage as error:
            found.left_out["unreadable image"].append(Skipped(shown(name), str(error)))
            continue
        labels[label] += 1
        sha256 = hashlib.sha256(data).hexdigest()
        yield sha256 + name, _Found(sha256, name, file, (label,), (split,))


def _merge(same: Sequence[_Found]) -> _Found:
    """Return one picture with the labels and splits of all."""
    labels = dict.fromkeys(label for picture in same for label in picture.labels)
    splits = sorted({split for picture in same for split in picture.splits}, key=_ORDER.index)
    return same[0]._replace(labels=tuple(labels), splits=tuple(splits))


def _name_key(picture: _Found) -> str:
    """Return what the pictures of one poster share: the split, and a name that only one film's poster can have."""
    stem = unicodedata.normalize("NFC", os.path.basename(picture.name)).casefold()
    names_film = film_of(stem) or split_title(stem)[1] is not None
    return f"{picture.splits[0]}/{stem}" if names_film else f"{picture.sha256}/"


def _items(found: Iterable[_Found], counts: Counter[str], notes: Notes) -> Iterator[Item]:
    """Yield one poster for all pictures with the same bytes or the same name of a film."""
    for _, same in itertools.groupby(found, key=_name_key):
        several = sorted(same, key=lambda picture: picture.name)
        poster = _merge(several)
        counts["several labels"] += len(poster.labels) > 1
        counts["by name"] += len(several) > 1 and len(poster.labels) > 1
        counts["several splits"] += len(poster.splits) > 1
        counts["split"] += bool(poster.splits[0])
        if len(several) > 1:
            files = ", ".join(shown(picture.name) for picture in several)
            notes.add("different pictures with the same name of a film, the first counts", files, "")
        yield _item(poster, counts)


def _item(poster: _Found, counts: Counter[str]) -> Item:
    stem = os.path.basename(poster.name)
    film, (title, year) = film_of(stem), split_title(stem)
    group = film or (title_group(title, year) if year is not None else f"sha256:{poster.sha256[:32]}")
    counts["imdb" if film else "title" if year is not None else "bytes"] += 1
    if film or not _LETTERS.search(title) or _HASH.fullmatch(stem):
        title = ""
    return Item(poster.name, poster.file, group, Entry(title, year, poster.labels, poster.splits[0]))


def split_and_label(name: str) -> tuple[str, str]:
    """Return the split, "" without one, and the label of a picture's path; "" for a picture that is in no class folder."""
    folders = name.split(os.sep)[:-1]
    split = SPLIT_OF.get(folders[0].lower(), "") if folders else ""
    labels = folders[1:] if split else folders
    return split, labels[0].strip() if labels else ""


def make(options: SourceOptions) -> ClassFoldersSource:
    """Return the source of class folders."""
    return ClassFoldersSource(options.folder)
