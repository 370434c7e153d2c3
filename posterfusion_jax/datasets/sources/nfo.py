"""Read the library of a media server (Kodi, Jellyfin, Emby): a folder per film with an NFO file and posters."""

import itertools
import os
import pathlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from posterfusion_jax.datasets.sources.base import Entry, LeftOut
from posterfusion_jax.datasets.sources.cell_notes import CellNotes
from posterfusion_jax.datasets.sources.file_names import split_title, title_group
from posterfusion_jax.datasets.sources.listed import Item, Listed, ListedSource, check_folder, first_left_out, list_items
from posterfusion_jax.datasets.sources.nfo_file import NfoFilm, read_nfo
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import Skipped, describe_entries
from posterfusion_jax.posters.image_files import ListedFile, OtherFiles, list_files, shown
from posterfusion_jax.utils.disk_collections import sort_on_disk

_SUFFIX = ".nfo"
_POSTER = "-poster"  # after the name of an NFO file
# A film's poster is the first of these that is there; "*-poster" is named by the NFO file, or by the film.
_ORDER = ("poster", "folder", "cover", f"*{_POSTER}", "movie", "the NFO file's own name")
_MAIN = ("movie", "tvshow")  # names of NFO files that come before others in a film's folder
_EXPECTED = (
    "<film>/movie.nfo (or <name>.nfo) and, in the same folder, poster.jpg, folder.jpg, cover.jpg, <name>-poster.jpg or "
    "movie.jpg"
)


class _NfoFile(NamedTuple):
    """Hold a parsed NFO file: its path, its name without suffix, and its film with the group."""

    path: str
    stem: str
    film: NfoFilm
    group: str


class NfoSource(ListedSource):
    """Read genres from NFO files, and the poster in each film's folder."""

    name, unit = "nfo", "film"

    def __init__(self, folder: str | pathlib.Path):
        """Take the folder of the library."""
        self.place = str(folder)
        self._root = os.path.join(os.path.abspath(folder), "")
        self._listed: Listed | None = None

    def decisions(self) -> Mapping[str, Any]:
        """Return nothing: a library has no split, and nothing is detected."""
        return {}

    def _read(self) -> Listed:
        if self._listed is None:
            check_folder(self._root, _EXPECTED)
            reader = _Reader(self._root)
            how: list[str] = []
            listed = list_items(reader.items(), reader.left_out, reader.other_files, how, reader.notes)
            if not listed.pictures.posters:
                raise self._empty(reader)
            how.extend(reader.describe())
            self._listed = listed
        return self._listed

    def _empty(self, reader: "_Reader") -> InputError:
        return InputError(
            f"data.images={self.place!r} has no film with an NFO file and a poster: {reader.counts['nfo']:,} NFO files, "
            f"{reader.counts['pictures']:,} pictures; {describe_entries(pathlib.Path(self._root))}."
            f"{first_left_out(reader.left_out)} Expected: {_EXPECTED}."
        )


class _Reader:
    """Read all folders of a library, one after the other."""

    def __init__(self, root: str):
        self._root = root
        self.left_out, self.other_files, self.notes = LeftOut(), OtherFiles(), CellNotes()
        self.counts = Counter[str]()

    def items(self) -> Iterator[Item]:
        """Yield the poster of each film, in the order of the folders."""
        files = ((os.fsencode(os.path.dirname(f.path)) + b"\0" + os.fsencode(f.path), f) for f in list_files(self._root))
        for _, same in itertools.groupby(sort_on_disk(ListedFile._make, files), key=lambda file: os.path.dirname(file.path)):
            pictures: list[ListedFile] = []
            nfo_files: list[ListedFile] = []
            for file in same:
                if file.fault:
                    kind = "file" if file.other else "unreadable image"
                    self.left_out[kind].append(Skipped(self._shown(file.path) or ".", file.fault))
                elif file.other == _SUFFIX:
                    nfo_files.append(file)
                elif file.other:
                    self.other_files.add(file.other)
                else:
                    pictures.append(file)
            self.counts["nfo"] += len(nfo_files)
            self.counts["pictures"] += len(pictures)
            yield from self._folder(nfo_files, pictures)

    def describe(self) -> Iterator[str]:
        """Yield what was decided, and the counts of everything."""
        counts, posters = self.counts, self.counts["posters"]
        kinds = ", ".join(f"<{kind}> {counts[f'<{kind}>']:,}" for kind in ("movie", "tvshow", "musicvideo", "episodedetails"))
        yield f"labels: <genre> in the NFO files of {posters:,} posters; {counts['no genre']:,} of them have none"
        yield f"{counts['nfo']:,} NFO files: {kinds}, not usable {len(self.left_out.get('NFO file', ())):,}"
        chosen = ", ".join(f"{name} {counts[name]:,}" for name in _ORDER if counts[name])
        yield f"pictures: {chosen}; of {counts['several']:,} films with several, the first in this order: {', '.join(_ORDER)}"
        yield (
            f"group: the id of IMDb or TMDB for {counts['by id']:,} posters, title and year for the other "
            f"{posters - counts['by id']:,}"
        )
        yield "the XML is read without document types and entities; <plot> is not on the poster and not used"

    def _shown(self, path: str) -> str:
        return shown(path[len(self._root) :])

    def _folder(self, nfo_files: list[ListedFile], pictures: list[ListedFile]) -> Iterator[Item]:
        parsed = [nfo for file in nfo_files if (nfo := self._parse(file.path)) is not None]
        if not parsed:
            reason = "no NFO file of its folder can be used" if nfo_files else "there is no NFO file in its folder"
            self.left_out.add("no usable NFO file", (Skipped(self._shown(p.path), reason) for p in pictures))
            return
        alone = len({nfo.group for nfo in parsed}) == 1
        if alone:
            first, *others = sorted(parsed, key=lambda nfo: (nfo.stem.lower() not in _MAIN, nfo.path))
            reason = f"it is about the same film as {self._shown(first.path)}"
            self.left_out.add("second NFO file", (Skipped(self._shown(nfo.path), reason) for nfo in others))
            parsed = [first]
        by_stem: dict[str, list[ListedFile]] = {}
        for picture in sorted(pictures, key=lambda picture: (picture.rank, picture.path)):
            by_stem.setdefault(picture.stem.lower(), []).append(picture)
        used, of_nfo = set[str](), {file.stem.lower() for file in nfo_files}
        for nfo in parsed:
            found = _posters_of(nfo.stem.lower(), by_stem, of_nfo, alone=alone)
            if not found:
                reason = f"none of its {len(pictures):,} pictures is named as a poster" if pictures else "it has no picture"
                self.left_out["no picture"].append(Skipped(self._shown(nfo.path), f"{reason}: {', '.join(_ORDER)}"))
                continue
            (kind, picture), *second = found
            reason = f"{self._shown(picture.path)} comes before it"
            self.left_out.add("second picture", (Skipped(self._shown(other.path), reason) for _, other in second))
            used.update(other.path for _, other in found)
            yield self._item(nfo, picture, kind, several=bool(second))
        for picture in pictures:
            if picture.path not in used:
                self.other_files.add("other artwork")

    def _parse(self, path: str) -> _NfoFile | None:
        film = read_nfo(path)
        if isinstance(film, str):
            self.left_out["NFO file"].append(Skipped(self._shown(path), film))
            return None
        self.counts[f"<{film.kind}>"] += 1
        stem = os.path.splitext(os.path.basename(path))[0]
        for reason, value in film.notes:
            self.notes.add(reason, self._shown(path), value)
        if not film.title:
            title, year = split_title(os.path.basename(os.path.dirname(path)) if stem.lower() in _MAIN else stem)
            film = film._replace(title=title, year=film.year or year)
        group = film.film or title_group(film.title, film.year) or f"file:{self._shown(path)}"[:200]
        return _NfoFile(path, stem, film, group)

    def _item(self, nfo: _NfoFile, picture: ListedFile, kind: str, *, several: bool) -> Item:
        film = nfo.film
        self.counts["posters"] += 1
        self.counts[kind] += 1
        self.counts["several"] += several
        self.counts["by id"] += bool(film.film)
        self.counts["no genre"] += not film.genres
        name = os.path.join(os.path.dirname(picture.path), picture.stem)[len(self._root) :]
        return Item(name, picture.path, nfo.group, Entry(film.title, film.year, film.genres))


def _posters_of(
    nfo_stem: str, by_stem: Mapping[str, list[ListedFile]], of_nfo: Collection[str], *, alone: bool
) -> list[tuple[str, ListedFile]]:
    """Return the posters of an NFO file, each with its place in `_ORDER`, the best first.

    Args:
      nfo_stem: the name of the NFO file without suffix, in lower case.
      by_stem: the pictures of the folder by name, in lower case, the most usual suffix first.
      of_nfo: the names of all NFO files of the folder, whose own pictures belong to no other.
      alone: whether the folder is that of one film; otherwise only pictures with the NFO file's name are its own.
    """
    names = {f"{nfo_stem}{_POSTER}": _ORDER[3], nfo_stem: _ORDER[5]}
    if alone:
        named = [stem for stem in sorted(by_stem) if stem.endswith(_POSTER) and not stem.startswith("season")]
        names |= {stem: _ORDER[3] for stem in named if stem.removesuffix(_POSTER) not in of_nfo}
        names |= {name: name for name in (*_ORDER[:3], _ORDER[4])}
    found = [(kind, picture) for stem, kind in names.items() for picture in by_stem.get(stem, ())]
    return sorted(found, key=lambda item: _ORDER.index(item[0]))


def make(options: SourceOptions) -> NfoSource:
    """Return the source of a media server's library."""
    return NfoSource(options.folder)
