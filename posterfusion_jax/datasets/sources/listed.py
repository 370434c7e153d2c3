"""Hold posters and entries that a source has read in one pass."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from posterfusion_jax.datasets.imdb_posters.hashing import hash_json
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


class Gathered(NamedTuple):
    """Collect what a source finds besides posters, while it reads them.

    Attributes:
      left_out: pictures that cannot be used.
      other_files: files that are no images.
      entries_left_out: titles and labels that are not used.
      notes: values that are not read literally, see `Entries.notes`.
      how: the source's decisions, in words.
    """

    left_out: LeftOut
    other_files: OtherFiles
    entries_left_out: LeftOut
    notes: Mapping[str, Any]
    how: list[str]


class Listed(NamedTuple):
    """Hold everything that a source has read."""

    pictures: Pictures
    entries: Entries
    labels_hash: str


def list_items(items: Iterable[Item], gathered: Gathered) -> Listed:
    """Return the posters of a source, sorted by their ids.

    Args:
      items: in an order that depends on nothing but the files.
      gathered: may be filled while `items` are read.
    """
    ids, entries = PosterIds(), DiskDict(Entry.from_json)

    def posters() -> Iterator[tuple[str, PosterFile]]:
        for item in items:
            poster_id = ids.make(item.name)
            entries[poster_id] = item.entry
            yield poster_id, PosterFile(poster_id, item.group, item.file)

    found = sort_on_disk(PosterFile._make, posters())
    digest = hash_json([poster.poster_id, poster.film_id, list(entries[poster.poster_id])] for poster in found)
    left_out, other_files, entries_left_out, notes, how = gathered
    return Listed(Pictures(found, left_out, other_files), Entries(entries, False, entries_left_out, notes, how), digest)


def check_folder(folder: str | os.PathLike[str], expected: str) -> None:
    """Raise InputError where `folder` is none; `expected` shows what it must hold."""
    if not os.path.isdir(folder):
        fault = "is a file, not a folder" if os.path.exists(folder) else "does not exist"
        raise InputError(f"data.images={os.fspath(folder)!r} {fault}. Name a folder with {expected}.")


def states_split(splits: Sequence[str]) -> bool:
    """Return whether parts named so are a split: train and at least one other."""
    return "train" in splits and len(set(splits)) > 1
