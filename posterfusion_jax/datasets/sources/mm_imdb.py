"""Read the folder of MM-IMDb: dataset/<7 digits>.jpeg with a JSON file each, and split.json; 2.0: .jpg, and list.txt."""

import json
import os
import pathlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.datasets.imdb_posters.title_cells import parse_year
from posterfusion_jax.datasets.sources.base import Entries, Entry, LeftOut, Pictures
from posterfusion_jax.datasets.sources.cell_notes import CellNotes
from posterfusion_jax.datasets.sources.listed import Gathered, Item, Listed, check_folder, list_items
from posterfusion_jax.datasets.sources.mm_imdb_split import LIST_FILE, SPLIT_FILE, read_list, read_split
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.pictures import Picture, find_pictures
from posterfusion_jax.datasets.tables.label_cells import parse_labels
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import Skipped, describe_entries
from posterfusion_jax.posters.image_files import shown

# The genres of Arevalo et al., "Gated Multimodal Units for Information Fusion", 2017: all but `_DROPPED`.
MM_IMDB23 = (
    *("Action", "Adventure", "Animation", "Biography", "Comedy", "Crime", "Documentary", "Drama", "Family", "Fantasy"),
    *("Film-Noir", "History", "Horror", "Music", "Musical", "Mystery", "Romance", "Sci-Fi", "Short", "Sport", "Thriller"),
    *("War", "Western"),
)
_DROPPED = ("Adult", "News", "Reality-TV", "Talk-Show")
_DROPPED_KEYS = frozenset(name.casefold() for name in _DROPPED)
_EXPECTED = "dataset/0114709.jpeg and dataset/0114709.json with the key 'genres' (2.0: .jpg), and split.json where there is one"
_LARGEST = 1 << 22  # bytes of a film's JSON file
_LONGEST_TITLE = 1_000


class MmImdbSource:
    """Read MM-IMDb: genres, title and year of the JSON files, and its own split; the plots are on no poster and not used."""

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
        return {"data.split_by": "column"} if (self._folder / SPLIT_FILE).is_file() else {}

    def _read(self) -> Listed:
        if self._listed is None:
            check_folder(self._folder, _EXPECTED)
            found = find_pictures(self._folder)
            reader = _Reader(self._folder, Gathered(found.left_out, found.other_files, LeftOut(), CellNotes(), []))
            listed = list_items(reader.items(found.pictures), reader.gathered)
            if not listed.pictures.posters:
                raise self._empty(len(found.pictures), reader)
            reader.gathered.how.extend(reader.describe())
            self._listed = listed
        return self._listed

    def _empty(self, pictures: int, reader: "_Reader") -> InputError:
        first = next((item for items in reader.gathered.left_out.values() for item in items), None)
        example = f" The first left out is {first.what}: {first.reason}." if first else ""
        return InputError(
            f"data.images={self.place!r} has no picture with a usable JSON file of the same name ({pictures:,} pictures, "
            f"{reader.gathered.other_files['.json']:,} JSON files); {describe_entries(self._folder)}.{example} Expected: "
            f"{_EXPECTED}."
        )


class _Reader:
    """Read the JSON files of the pictures, and count everything.

    Attributes:
      gathered: what was found besides the films.
    """

    def __init__(self, folder: pathlib.Path, gathered: Gathered):
        self._splits, self._chosen = read_split(folder / SPLIT_FILE), read_list(folder / LIST_FILE)
        self._notes = CellNotes()
        self._counts, self._dropped = Counter[str](), Counter[str]()
        self.gathered = gathered._replace(notes=self._notes)

    def items(self, pictures: Iterable[Picture]) -> Iterator[Item]:
        """Yield the films whose picture and JSON file can be used."""
        counts, left_out = self._counts, self.gathered.left_out
        for name, file in pictures:
            stem = os.path.basename(name)
            if self._chosen and stem not in self._chosen:
                left_out[f"not in {LIST_FILE}"].append(Skipped(shown(name), f"{LIST_FILE} does not name it"))
                continue
            entry = self._film(os.path.join(os.path.dirname(file), f"{stem}.json"), shown(f"{name}.json"))
            counts["JSON"] += entry != _MISSING
            if isinstance(entry, str):
                left_out["JSON file"].append(Skipped(shown(f"{name}.json"), entry))
                continue
            split = self._splits.get(stem, "")
            counts["films"] += 1
            counts[split] += 1
            film = f"tt{stem}" if stem.isdecimal() else stem
            yield Item(stem, file, film, entry._replace(split=split))
        others = self.gathered.other_files
        others[".json"] -= min(counts["JSON"], others[".json"])  # those that are left have no picture
        if not others[".json"]:
            del others[".json"]

    def describe(self) -> Iterator[str]:
        """Yield what was decided, and the counts of everything."""
        counts, films = self._counts, self._counts["films"]
        yield f"labels: 'genres' in the JSON files of {films:,} films; the plots are on no poster and not used"
        dropped = ", ".join(f"{name} {count:,}" for name, count in self._dropped.most_common())
        yield f"dropped, as in the literature: {', '.join(_DROPPED)} ({dropped or 'none of them occurs'})"
        if self._chosen:
            yield f"films: the {len(self._chosen):,} of {LIST_FILE}; {films:,} of them have a picture and a JSON file"
        if self._splits:
            in_splits = ", ".join(f"{split} {counts[split]:,}" for split in SPLITS if counts[split])
            none = f", none {counts['']:,}" if counts[""] else ""
            missing = len(self._splits) - films + counts[""]
            yield f"split: {SPLIT_FILE}: {in_splits}{none}; {missing:,} films that it names are not here, or not usable"
        else:
            yield f"split: none, there is no {SPLIT_FILE}"
        yield "group: the film, IMDb's id"

    def _film(self, path: str, place: str) -> Entry | str:
        """Return the entry of a film's JSON file, or why it cannot be used."""
        film = _read_json(path)
        if isinstance(film, str):
            return film
        cell = str(film.get("year") or "")
        try:
            year = parse_year(cell)
        except ValueError:
            self._notes.add("no year: the year is unknown", place, cell)
            year = None
        names = parse_labels(film["genres"], ",").names
        labels = tuple(name for name in names if name.casefold() not in _DROPPED_KEYS)
        dropped = [name for name in names if name.casefold() in _DROPPED_KEYS]
        if dropped:
            self._dropped.update(dropped)
            reason = f"not among the 23 that are used: {', '.join(dropped)}"
            self.gathered.entries_left_out["genre outside the 23"].append(Skipped(place, reason))
        title = film.get("title")
        return Entry(" ".join(title.split())[:_LONGEST_TITLE] if isinstance(title, str) else "", year, labels)


_MISSING = "there is none of the picture's name in its folder"


def _read_json(path: str) -> dict[str, Any] | str:
    """Return the content of a film's JSON file, or why it cannot be used."""
    if not os.path.isfile(path):
        return _MISSING
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if len(data) > _LARGEST:
        return f"it has over {_LARGEST:,} bytes"
    try:
        film = json.loads(data)
    except (ValueError, RecursionError) as error:
        return f"it is no valid JSON: {str(error)[:100]}"
    return film if isinstance(film, dict) and "genres" in film else "it has no key 'genres'"


def make(options: SourceOptions) -> MmImdbSource:
    """Return the source of an MM-IMDb folder."""
    return MmImdbSource(options.folder)
