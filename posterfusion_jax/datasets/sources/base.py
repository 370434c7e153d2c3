"""Define what every source of labelled posters gives: its pictures, and the title and labels of each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.posters.folder import PosterFile, Skipped
from posterfusion_jax.posters.image_files import OtherFiles
from posterfusion_jax.utils.disk_collections import DiskList


class LeftOut(dict[str, DiskList[Skipped]]):
    """Collect what was left out and why, by kind, in the order in which the kinds occurred."""

    def __missing__(self, kind: str) -> DiskList[Skipped]:
        self[kind] = DiskList(Skipped._make)
        return self[kind]

    def add(self, kind: str, items: Iterable[Skipped]) -> None:
        """Append items of a kind; a kind without items does not appear."""
        for item in items:
            self[kind].append(item)


class Entry(NamedTuple):
    """Hold what a source knows of one poster, or of all posters of a group.

    Attributes:
      title: for people, never an input; "" where there is none.
      year: None where unknown.
      labels: names as the source spells them, in its order, without placeholders, empty names or repetitions.
      split: "train", "validation" or "test" where the source assigns one, else "".
      text: the words on the poster where the source has them; None: OCR reads them.
    """

    title: str
    year: int | None
    labels: tuple[str, ...]
    split: str = ""
    text: str | None = None

    @classmethod
    def from_json(cls, values: Sequence[Any]) -> "Entry":
        """Return the entry whose JSON value is `values`."""
        title, year, labels, split, text = values
        return cls(title, year, tuple(labels), split, text)


class Pictures(NamedTuple):
    """Hold the pictures of a source.

    Attributes:
      posters: sorted by poster_id (`pictures.PosterIds`); `film_id` is the group, whose posters stay in one split.
      left_out: pictures that cannot be used, and rows without a picture, by kind.
      other_files: files of the folder that are no images, by kind.
    """

    posters: DiskList[PosterFile]
    left_out: LeftOut
    other_files: OtherFiles


class Entries(NamedTuple):
    """Hold the titles and labels of a source.

    Attributes:
      by_key: film_id (`per_group`) or poster_id -> entry.
      per_group: whether the keys are groups.
      left_out: lines or files that were not read, by kind.
      notes: cells that were not read literally: reason -> {"count": int, "first": up to three [place, cell]}.
      how: how the source was read, in words, one decision each; printed and reported.
    """

    by_key: Mapping[str, Entry]
    per_group: bool
    left_out: LeftOut
    notes: Mapping[str, Any]
    how: Sequence[str]

    def of(self, poster: HasIds) -> Entry | None:
        """Return the entry of a poster; None where the source does not name it."""
        return self.by_key.get(poster.film_id if self.per_group else poster.poster_id)


class Source(Protocol):
    """Require what the dataset needs of a source. Both reading methods may be called several times.

    Attributes:
      name: value of data.source.
      unit: what a group is, in one word, for people: "film", "book"; "group" where it is not known.
      place: the folder or table, for messages.
    """

    name: str
    unit: str
    place: str

    def list_pictures(self) -> Pictures:
        """List the pictures. Raises InputError where there are none that can be used."""
        ...

    def read_entries(self, posters: Iterable[HasIds]) -> Entries:
        """Read titles and labels of these posters. Raises InputError where the source cannot be read."""
        ...

    def hash_labels(self) -> str:
        """Return a hash of everything that `read_entries` depends on, equal for equal contents wherever they lie."""
        ...

    def decisions(self) -> Mapping[str, Any]:
        """Return the fields of the config that repeat what was detected: "data.table_columns.id" -> "imdbId".

        "data.split_by" -> "column" states that the source has a split of its own; it counts where the user chose no rule.
        """
        ...
