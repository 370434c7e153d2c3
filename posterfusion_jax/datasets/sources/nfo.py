"""Read the library of a media server (Kodi, Jellyfin, Emby): a folder per film with an NFO file and posters."""

import os
import pathlib
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.datasets.imdb_posters.title_cells import parse_year
from posterfusion_jax.datasets.sources.base import Entries, Entry, LeftOut, Pictures
from posterfusion_jax.datasets.sources.listed import Item, Listed, list_items, split_title, title_group
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.posters.image_files import ListedFile, OtherFiles, list_files, shown

_ORDER = ("poster", "folder", "cover", "movie")  # names of a film's poster, the first found counts
_LARGEST = 1 << 20  # bytes of an NFO file
_END = re.compile(rb"</(movie|tvshow|video|musicvideo|episodedetails)\s*>", re.IGNORECASE)
_DOCTYPE = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


class NfoSource:
    """Read genres from NFO files, and the poster in each film's folder."""

    name, unit = "nfo", "film"

    def __init__(self, folder: str | pathlib.Path):
        """Take the folder of the library."""
        self.place = str(folder)
        self._folder = os.path.join(os.path.abspath(folder), "")
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
            left_out, others, counts, how = LeftOut(), OtherFiles(), Counter[str](), list[str]()
            self._listed = list_items(self._items(left_out, others, counts), left_out, others, how)
            if not counts["posters"]:
                raise InputError(
                    f"data.images={self.place!r} has no film with an NFO file and a poster ({counts['nfo']:,} NFO files, "
                    f"{counts['pictures']:,} pictures). Expected: <film>/movie.nfo (or <name>.nfo) and poster.jpg, folder.jpg, "
                    "cover.jpg or <name>-poster.jpg beside it."
                )
            how += [
                f"labels: <genre> of {counts['nfo']:,} NFO files",
                f"pictures: {', '.join(f'{name} {counts[name]:,}' for name in (*_ORDER, '<name>-poster') if counts[name])}",
                f"group: IMDb's id of {counts['by id']:,} films, title and year of the others",
            ]
        return self._listed

    def _items(self, left_out: LeftOut, others: OtherFiles, counts: Counter[str]) -> Iterator[Item]:
        folders: dict[str, list[ListedFile]] = {}
        for file in list_files(self._folder):
            folders.setdefault(os.path.dirname(file.path), []).append(file)
        for folder in sorted(folders):
            files = sorted(folders[folder], key=lambda file: file.path)
            pictures = [file for file in files if not file.other and not file.fault]
            nfo_files = [file for file in files if file.path.lower().endswith(".nfo")]
            counts["pictures"] += len(pictures)
            for file in files:
                if file.fault:
                    left_out["unreadable file"].append(Skipped(shown(file.path[len(self._folder) :]), file.fault))
                elif file.other and file not in nfo_files:
                    others.add(file.other)
            if not nfo_files and pictures:
                left_out["picture without an NFO file"].append(
                    Skipped(shown(pictures[0].path[len(self._folder) :]), "there is no NFO file in its folder")
                )
            for nfo in nfo_files:
                counts["nfo"] += 1
                item = self._item(nfo.path, pictures, alone=len(nfo_files) == 1, left_out=left_out, counts=counts)
                if item is not None:
                    counts["posters"] += 1
                    yield item

    def _item(
        self, nfo: str, pictures: list[ListedFile], *, alone: bool, left_out: LeftOut, counts: Counter[str]
    ) -> Item | None:
        inside = shown(nfo[len(self._folder) :])
        about = _parse(nfo)
        if isinstance(about, str):
            left_out["NFO file"].append(Skipped(inside, about))
            return None
        kind, picture = _choose(pictures, os.path.splitext(os.path.basename(nfo))[0], alone=alone)
        if picture is None:
            left_out["no picture"].append(Skipped(inside, "there is no poster beside it"))
            return None
        counts[kind] += 1
        title, year, genres, imdb = about
        if not title:
            title, year = split_title(os.path.basename(os.path.dirname(nfo)))
        counts["by id"] += bool(imdb)
        name = os.path.splitext(picture.path[len(self._folder) :])[0]
        return Item(name, picture.path, imdb or title_group(title, year), Entry(title, year, genres))


def _choose(pictures: list[ListedFile], nfo_stem: str, *, alone: bool) -> tuple[str, ListedFile | None]:
    """Return which kind of name the poster of an NFO file has, and the poster."""
    stems = {file.stem.lower(): file for file in reversed(pictures)}
    own = stems.get(f"{nfo_stem.lower()}-poster")
    if own is not None:
        return "<name>-poster", own
    if alone:
        for name in _ORDER:
            if name in stems:
                return name, stems[name]
        named = [file for stem, file in sorted(stems.items()) if stem.endswith("-poster")]
        if named:
            return "<name>-poster", named[0]
    return "", None


def _parse(path: str) -> tuple[str, int | None, tuple[str, ...], str] | str:
    """Return title, year, genres and IMDb's id of an NFO file; or why it cannot be used.

    A file with a document type is refused: entities may name other files, or grow without bound.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if len(data) > _LARGEST:
        return f"it has over {_LARGEST:,} bytes"
    if _DOCTYPE.search(data):
        return "it has a document type or entities, which are not read"
    end = _END.search(data)  # a link may follow the XML
    if end is None:
        return "it is no XML of a film" if b"<" in data else "it holds a link alone"
    try:
        root = ElementTree.fromstring(data[: end.end()].lstrip(b"\xef\xbb\xbf \r\n\t"))
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        return f"it is no valid XML: {error}"
    genres: dict[str, None] = {}
    for element in root.iter("genre"):
        for name in re.split(r"[/|,;]", element.text or ""):
            if name.strip():
                genres[name.strip()[:200]] = None
    ids = [element.text or "" for element in root.iter("uniqueid") if element.get("type", "").lower() == "imdb"]
    ids += [root.findtext(name) or "" for name in ("imdbid", "imdb_id", "id")]
    imdb = next((found[0] for text in ids if (found := re.search(r"tt\d{7,10}", text))), "")
    try:
        year = parse_year(root.findtext("year") or root.findtext("premiered") or root.findtext("releasedate") or "")
    except ValueError:
        year = None
    return " ".join((root.findtext("title") or "").split())[:1000], year, tuple(genres), imdb


def make(options: SourceOptions) -> NfoSource:
    """Return the source of a media server's library."""
    return NfoSource(options.folder)
