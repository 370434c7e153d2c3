"""Hold posters and entries that a source has read in one pass."""

import abc
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from posterfusion_jax.datasets.imdb_posters.hashing import hash_json
from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.datasets.sources.base import Entries, Entry, LeftOut, Pictures
from posterfusion_jax.datasets.sources.pictures import PosterIds
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import PosterFile
from posterfusion_jax.posters.image_files import OtherFiles
from posterfusion_jax.utils.disk_collections import DiskDict, sort_on_disk


class Item(NamedTuple):
    """Hold one poster that a source has read: the picture's name and file, its group, and what is known of it."""

    name: str
    file: str
    group: str
    entry: Entry


class Listed(NamedTuple):
    """Hold everything that a source has read."""

    pictures: Pictures
    entries: Entries
    labels_hash: str


class ListedSource(abc.ABC):
    """Serve as a source that reads its folder in one pass, when it is first asked."""

    @abc.abstractmethod
    def _read(self) -> Listed:
        """Return what the folder holds, the same object each time. Raises InputError where nothing in it can be used."""

    def list_pictures(self) -> Pictures:
        """Return the pictures that have labels. Raises InputError where there are none."""
        return self._read().pictures

    def read_entries(self, posters: Iterable[HasIds]) -> Entries:
        """Return titles and labels by poster_id."""
        return self._read().entries

    def hash_labels(self) -> str:
        """Return the hash of all titles, labels, groups and splits."""
        return self._read().labels_hash


def list_items(
    items: Iterable[Item],
    left_out: LeftOut,
    other_files: OtherFiles,
    how: Sequence[str],
    notes: Mapping[str, Any] | None = None,
) -> Listed:
    """Return the posters of a source, sorted by their ids.

    Args:
      items: in an order that depends on nothing but the files.
      left_out: what the source could not use; may be filled while `items` are read.
      other_files: files that are no images; likewise.
      how: the source's decisions, in words; likewise.
      notes: cells that were not read literally, see `Entries.notes`; likewise.
    """
    ids, entries = PosterIds(), DiskDict(Entry.from_json)

    def posters() -> Iterator[tuple[str, PosterFile]]:
        for item in items:
            poster_id = ids.make(item.name)
            entries[poster_id] = item.entry
            yield poster_id, PosterFile(poster_id, item.group, item.file)

    found = sort_on_disk(PosterFile._make, posters())
    digest = hash_json([poster.poster_id, poster.film_id, list(entries[poster.poster_id])] for poster in found)
    read = Entries(entries, False, LeftOut(), {} if notes is None else notes, how)
    return Listed(Pictures(found, left_out, other_files), read, digest)


def check_folder(folder: str | os.PathLike[str], expected: str) -> None:
    """Raise InputError where `folder` is none; `expected` shows what it must hold."""
    if not os.path.isdir(folder):
        fault = "is a file, not a folder" if os.path.exists(folder) else "does not exist"
        raise InputError(f"data.images={os.fspath(folder)!r} {fault}. Name a folder with {expected}.")


def states_split(splits: Sequence[str]) -> bool:
    """Return whether parts named so are a split: train and at least one other."""
    return "train" in splits and len(set(splits)) > 1


def first_left_out(left_out: LeftOut) -> str:
    """Return a sentence with the counts by kind, and the first of each with its reason; "" where nothing was left out."""
    kinds = (
        f"{kind} {len(items):,}, the first {items[0].what}: {items[0].reason}" for kind, items in left_out.items() if items
    )
    listed = "; ".join(kinds)
    return f" Left out: {listed}." if listed else ""
