"""Read the folder of MM-IMDb: dataset/<7 digits>.jpeg with a JSON file each, and split.json."""

import json
import os
import pathlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.datasets.imdb_posters.title_cells import parse_year
from posterfusion_jax.datasets.sources.base import Entries, Entry, Pictures
from posterfusion_jax.datasets.sources.listed import Item, Listed, Notes, list_items
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.pictures import FoundPictures, find_pictures
from posterfusion_jax.datasets.tables.columns import SPLIT_OF
from posterfusion_jax.datasets.tables.label_cells import parse_labels
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.posters.image_files import list_files, shown
from posterfusion_jax.utils.disk_collections import DiskSet, sort_on_disk

# The genres of Arevalo et al., "Gated Multimodal Units for Information Fusion", 2017, and the four others that films have.
MM_IMDB23 = (
    *("Action", "Adventure", "Animation", "Biography", "Comedy", "Crime", "Documentary", "Drama", "Family", "Fantasy"),
    *("Film-Noir", "History", "Horror", "Music", "Musical", "Mystery", "Romance", "Sci-Fi", "Short", "Sport", "Thriller"),
    *("War", "Western"),
)
OTHER_GENRES = ("Adult", "News", "Reality-TV", "Talk-Show")
_SPLIT_FILE = "split.json"
_LARGEST = 1 << 22  # bytes of a film's JSON file


class MmImdbSource:
    """Read MM-IMDb: genres, title and year of the JSON files, and its own split; the plots are on no poster and unused."""

    name, unit = "mm_imdb", "film"

    def __init__(self, folder: str | pathlib.Path):
        """Take the folder with dataset/ and split.json; version 2.0 has no split."""
        self.place = str(folder)
        self._folder = pathlib.Path(folder)
        self._listed: Listed | None = None

    def list_pictures(self) -> Pictures:
        """Return the pictures with a JSON file. Raises InputError where there are none."""
        return self._read().pictures

    def read_entries(self, posters: Iterable[HasIds]) -> Entries:
        """Return titles and genres by poster_id."""
        return self._read().entries

    def hash_labels(self) -> str:
        """Return the hash of all titles, genres and splits."""
        return self._read().labels_hash

    def decisions(self) -> Mapping[str, Any]:
        """Return that the split is the folder's own, where it has one."""
        return {"data.split_by": "column"} if (self._folder / _SPLIT_FILE).is_file() else {}

    def _read(self) -> Listed:
        if self._listed is None:
            self._listed = self._list()
        return self._listed

    def _list(self) -> Listed:
        found, how, notes, counts = find_pictures(self._folder), list[str](), Notes(), Counter[str]()
        splits = self._read_split(notes)
        items = self._items(found, splits, notes, counts)
        listed = list_items(items, found.left_out, found.other_files, how, notes)
        if not counts["films"]:
            reasons = "; ".join(
                f"{kind} {len(items):,}, the first {items[0].what!r}: {items[0].reason}"
                for kind, items in found.left_out.items()
                if items
            )
            raise InputError(
                f"data.images={self.place!r} has no picture with a usable JSON file of the same name in its folder "
                f"({len(found.pictures):,} pictures{f'; {reasons}' if reasons else ''}). Expected: dataset/0114709.jpeg and "
                "dataset/0114709.json with the key 'genres'."
            )
        others = ", ".join(f"{name} {counts[name]:,}" for name in OTHER_GENRES)
        how += [
            f"labels: 'genres' of {counts['films']:,} JSON files; outside the 23 of the set's authors are {others} "
            f"({counts['no other']:,} films have no other)",
            "text: OCR reads it; the plots are on no poster and are not used",
            "group: the film",
        ]
        if splits:
            how.append(
                f"split: {_SPLIT_FILE}, {counts['split']:,} films; {counts['films'] - counts['split']:,} films are not in it, "
                f"and {len(splits) - counts['split']:,} of its ids have no film here"
            )
        else:
            how.append(f"split: there is no {_SPLIT_FILE}")
        return listed

    def _items(self, found: FoundPictures, splits: Mapping[str, str], notes: Notes, counts: Counter[str]) -> Iterator[Item]:
        pictured = DiskSet()
        for name, file in found.pictures:
            path = pathlib.Path(file)
            about = path.with_name(f"{os.path.basename(name)}.json")
            pictured.add(os.fsencode(about))
            film = _read_film(about)
            if isinstance(film, str):
                found.left_out["JSON file"].append(Skipped(shown(f"{name}.json"), film))
                continue
            split = splits.get(path.stem, "")
            counts["films"] += 1
            counts.update(label for label in film.labels if label in OTHER_GENRES)
            counts["no other"] += bool(film.labels) and set(film.labels) <= set(OTHER_GENRES)
            counts["split"] += bool(split)
            film_id = f"tt{path.stem.zfill(7)}" if path.stem.isdecimal() else path.stem
            yield Item(path.stem, file, film_id, film._replace(split=split))
        self._record_unpictured(pictured, found)

    def _record_unpictured(self, pictured: DiskSet, found: FoundPictures) -> None:
        """Record the films without a picture; the JSON files that were read are no other files."""
        root = len(os.path.join(os.path.abspath(self._folder), ""))
        missing = (
            (os.fsencode(file.path), Skipped(shown(file.path[root:]), "there is no picture of the same name"))
            for file in list_files(os.path.abspath(self._folder))
            if file.path.lower().endswith(".json")
            and file.path[root:] != _SPLIT_FILE
            and os.fsencode(file.path) not in pictured
        )
        found.left_out.add("no picture", sort_on_disk(Skipped._make, missing))
        del found.other_files[".json"]

    def _read_split(self, notes: Notes) -> dict[str, str]:
        file = self._folder / _SPLIT_FILE
        if not file.is_file():
            return {}
        splits: dict[str, str] = {}
        try:
            content = json.loads(file.read_bytes())
            for name, films in content.items():
                for film in films:
                    if splits.setdefault(str(film), SPLIT_OF[name.lower()]) != SPLIT_OF[name.lower()]:
                        notes.add("film in several splits, the first counts", _SPLIT_FILE, str(film))
        except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
            raise InputError(
                f"{str(file)!r} is not the split of MM-IMDb ({type(error).__name__}: {str(error)[:100]}). It must be an "
                "object with lists of ids under train, dev and test."
            ) from error
        return splits


def _read_film(path: pathlib.Path) -> Entry | str:
    """Return the entry of a film's JSON file, or why it cannot be used."""
    try:
        if path.stat().st_size > _LARGEST:
            return f"it has over {_LARGEST:,} bytes"
        film = json.loads(path.read_bytes())
    except FileNotFoundError:
        return "there is none with the name of the picture"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except (ValueError, RecursionError) as error:
        return f"it is no valid JSON: {str(error)[:100]}"
    if not isinstance(film, dict) or "genres" not in film:
        return "it has no key 'genres'"
    try:
        year = parse_year(str(film.get("year") or ""))
    except ValueError:
        year = None
    return Entry(" ".join(str(film.get("title") or "").split())[:1000], year, parse_labels(film["genres"], ",").names)


def make(options: SourceOptions) -> MmImdbSource:
    """Return the source of an MM-IMDb folder."""
    return MmImdbSource(options.folder)
