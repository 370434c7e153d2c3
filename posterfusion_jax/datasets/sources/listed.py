"""Hold posters and entries that a source has read as a whole, and name groups by title and year."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from posterfusion_jax.datasets.imdb_posters.hashing import hash_json
from posterfusion_jax.datasets.sources.base import Entries, Entry, LeftOut, Pictures
from posterfusion_jax.datasets.sources.pictures import PosterIds
from posterfusion_jax.posters.folder import PosterFile
from posterfusion_jax.posters.image_files import OtherFiles
from posterfusion_jax.utils.disk_collections import DiskDict, sort_on_disk

_EXAMPLES, _SHOWN_CELL = 3, 80  # of a note; characters of a cell
_TITLE_YEAR = re.compile(r"(.*\S)\s*[\[(](\d{4})[\])].*")


class Notes(dict[str, dict[str, Any]]):
    """Count what was not read literally: reason -> {"count", "first": up to three [place, cell]}."""

    def add(self, reason: str, place: str, cell: str) -> None:
        """Count one cell."""
        note = self.setdefault(reason, {"count": 0, "first": []})
        note["count"] += 1
        if len(note["first"]) < _EXAMPLES:
            note["first"].append([place, cell[:_SHOWN_CELL]])


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
      notes: cells that were not read literally; likewise.
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


def split_title(name: str) -> tuple[str, int | None]:
    """Return title and year of a name such as "The Matrix (1999)"; the year is None where there is none."""
    plain = " ".join(name.replace("_", " ").split())
    match = _TITLE_YEAR.fullmatch(plain)
    return (match[1], int(match[2])) if match else (plain, None)


def title_group(title: str, year: int | None) -> str:
    """Return the group of posters with this title and year."""
    return (f"{title.casefold()} ({year})" if year else title.casefold())[:200]
