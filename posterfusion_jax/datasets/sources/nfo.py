"""Read the library of a media server (Kodi, Jellyfin, Emby): a folder per film with an NFO file and posters."""

import itertools
import os
import pathlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.datasets.sources.base import Entries, Entry, LeftOut, Pictures
from posterfusion_jax.datasets.sources.listed import Item, Listed, Notes, list_items, split_title, title_group
from posterfusion_jax.datasets.sources.nfo_file import read_nfo
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.posters.image_files import ListedFile, OtherFiles, list_files, shown
from posterfusion_jax.utils.disk_collections import sort_on_disk

_NAMED = "<name>-poster"
_ORDER = ("poster", "folder", "cover", _NAMED, "movie")  # names of a film's poster; the first that is there counts
_ARTWORK = "artwork"  # pictures of a film that are no posters, as a kind of other files
_FILM_FILE = "movie"  # the NFO file of a folder with one film


class NfoSource:
    """Read genres from NFO files, and the poster in each film's folder."""

    name, unit = "nfo", "film"

    def __init__(self, folder: str | pathlib.Path):
        """Take the folder of the library."""
        self.place = str(folder)
        self._folder = pathlib.Path(folder)
        self._listed: Listed | None = None

    def list_pictures(self) -> Pictures:
        """Return the posters of the films. Raises InputError where no film has both an NFO file and a poster."""
        return self._read().pictures

    def read_entries(self, posters: Iterable[HasIds]) -> Entries:
        """Return titles and genres by poster_id."""
        return self._read().entries

    def hash_labels(self) -> str:
        """Return the hash of all titles, genres and groups."""
        return self._read().labels_hash

    def decisions(self) -> Mapping[str, Any]:
        """Return nothing: the files decide."""
        return {}

    def _read(self) -> Listed:
        if self._listed is None:
            library = _Library(self._folder)
            how: list[str] = []
            listed = list_items(library.items(), library.left_out, library.others, how, library.notes)
            if not library.counts["posters"]:
                raise InputError(f"data.images={self.place!r} has no film with an NFO file and a poster ({library.found()}).")
            how += library.decisions()
            self._listed = listed
        return self._listed


class _Library:
    """Go through the folders of a library, one after the other."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._root = os.path.join(os.path.abspath(folder), "")
        self.left_out, self.others, self.notes = LeftOut(), OtherFiles(), Notes()
        self.counts = Counter[str]()

    def found(self) -> str:
        """Return what there is and what is expected, for the message about a folder without films."""
        reasons = [f"{kind}: {items[0].what!r} {items[0].reason}" for kind, items in self.left_out.items()]
        return "; ".join(
            [
                f"{self.counts['nfo']:,} NFO files, {self.counts['pictures']:,} pictures",
                *reasons,
                "expected: <film>/movie.nfo (or <name>.nfo) and poster.jpg, folder.jpg, cover.jpg or <name>-poster.jpg in the "
                "same folder",
            ]
        )

    def decisions(self) -> list[str]:
        """Return how the library was read, in words."""
        counts = self.counts
        names = ", ".join(f"{name} {counts[f'named {name}']:,}" for name in _ORDER if counts[f"named {name}"])
        return [
            f"labels: <genre> of {counts['posters']:,} of {counts['nfo']:,} NFO files",
            f"pictures: {names}; {counts['several']:,} films have several of these names, the first counts",
            f"group: IMDb's id of {counts['by id']:,} films, title and year of {counts['posters'] - counts['by id']:,}",
        ]

    def items(self) -> Iterator[Item]:
        """Yield the films that can be used."""
        files = ((_key(file.path), file) for file in list_files(self._root))
        for folder, same in itertools.groupby(sort_on_disk(ListedFile._make, files), lambda file: os.path.dirname(file.path)):
            yield from self._items_of(os.path.basename(folder), list(same))

    def _items_of(self, folder: str, files: Sequence[ListedFile]) -> Iterator[Item]:
        pictures, nfo_files = list[ListedFile](), list[str]()
        for file in files:
            if file.fault:
                self._leave_out("unreadable file", file.path, file.fault)
            elif file.path.lower().endswith(".nfo"):
                nfo_files.append(file.path)
            elif file.other:
                self.others.add(file.other)
            else:
                pictures.append(file)
        self.counts["nfo"] += len(nfo_files)
        self.counts["pictures"] += len(pictures)
        used = set[str]()
        for nfo in self._films(nfo_files, pictures):
            item = self._item(nfo, pictures, folder=folder, alone=len(nfo_files) == 1 or _stem(nfo) == _FILM_FILE)
            if item is not None:
                self.counts["posters"] += 1
                used.add(item.file)
                yield item
        for picture in pictures:
            if not nfo_files and _kind(picture.stem) in _ORDER:
                self._leave_out("picture without an NFO file", picture.path, "there is no NFO file in its folder")
            elif picture.path not in used:
                self.others.add(_ARTWORK)

    def _films(self, nfo_files: list[str], pictures: Sequence[ListedFile]) -> list[str]:
        """Return the NFO files that are about a film of their own; movie.nfo is about the film of its whole folder."""
        if len(nfo_files) < 2 or _FILM_FILE not in map(_stem, nfo_files):
            return nfo_files
        posters = {picture.stem.lower() for picture in pictures}
        films = []
        for nfo in nfo_files:
            if _stem(nfo) == _FILM_FILE or f"{_stem(nfo)}-poster" in posters:
                films.append(nfo)
            else:
                self._leave_out("second NFO file", nfo, "movie.nfo is about the film of this folder")
        return films

    def _item(self, nfo: str, pictures: Sequence[ListedFile], *, folder: str, alone: bool) -> Item | None:
        about = read_nfo(nfo)
        if isinstance(about, str):
            return self._leave_out("NFO file", nfo, about)
        candidates = _candidates(pictures, _stem(nfo), alone=alone)
        if not candidates:
            reason = "there is no poster in its folder"
            if not alone:
                reason = f"its folder has several NFO files and no {shown(os.path.basename(nfo)[:-4])}-poster.jpg"
            return self._leave_out("no picture", nfo, reason)
        kind, picture = candidates[0]
        self.counts[f"named {kind}"] += 1
        self.counts["several"] += len(candidates) > 1
        self.counts["by id"] += bool(about.imdb)
        for reason, cell in about.notes.items():
            self.notes.add(reason, self._inside(nfo), cell)
        title, year = about.title, about.year
        if not title:
            title, named_year = split_title(folder if alone and _stem(nfo) == _FILM_FILE else os.path.basename(nfo)[:-4])
            year = year or named_year
        name = os.path.splitext(picture.path[len(self._root) :])[0]
        return Item(name, picture.path, about.imdb or title_group(title, year), Entry(title, year, about.labels))

    def _leave_out(self, kind: str, path: str, reason: str) -> None:
        self.left_out[kind].append(Skipped(self._inside(path), reason))

    def _inside(self, path: str) -> str:
        return shown(path[len(self._root) :])


def _candidates(pictures: Sequence[ListedFile], nfo_stem: str, *, alone: bool) -> list[tuple[str, ListedFile]]:
    """Return the posters of an NFO file's film, best first, each with the kind of its name.

    In a folder with several films only <name>-poster with the NFO file's own name is the poster of one.
    """
    own = f"{nfo_stem}-poster"
    if not alone:
        return [(_NAMED, picture) for picture in pictures if picture.stem.lower() == own]
    found = [(kind, picture) for picture in pictures if (kind := _kind(picture.stem)) in _ORDER]
    return sorted(found, key=lambda item: (_ORDER.index(item[0]), item[1].stem.lower() != own, item[1].rank, item[1].path))


def _kind(stem: str) -> str:
    stem = stem.lower()
    return _NAMED if stem.endswith("-poster") and stem != "-poster" else stem


def _stem(nfo: str) -> str:
    return os.path.basename(nfo)[:-4].lower()


def _key(path: str) -> bytes:
    """Return a key that keeps the files of a folder together."""
    return "\0".join(os.path.split(path)).encode(errors="surrogateescape")


def make(options: SourceOptions) -> NfoSource:
    """Return the source of a media server's library."""
    return NfoSource(options.folder)
