"""Read the folder of MM-IMDb: dataset/<7 digits>.jpeg with a JSON file each, and split.json; 2.0: .jpg, and list.txt."""

import json
import os
import pathlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.datasets.imdb_posters.title_cells import parse_year
from posterfusion_jax.datasets.sources.base import Entry
from posterfusion_jax.datasets.sources.cell_notes import CellNotes
from posterfusion_jax.datasets.sources.listed import Item, Listed, ListedSource, check_folder, first_left_out, list_items
from posterfusion_jax.datasets.sources.mm_imdb_split import DIGITS, LIST_FILE, SPLIT_FILE, read_list, read_split
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.pictures import FoundPictures, find_pictures
from posterfusion_jax.datasets.tables.label_cells import parse_labels
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import Skipped, describe_entries
from posterfusion_jax.posters.image_files import list_files, shown
from posterfusion_jax.utils.disk_collections import DiskSet, sort_on_disk

# The genres of Arevalo et al., "Gated Multimodal Units for Information Fusion", 2017: all but `OTHER_GENRES`.
MM_IMDB23 = (
    *("Action", "Adventure", "Animation", "Biography", "Comedy", "Crime", "Documentary", "Drama", "Family", "Fantasy"),
    *("Film-Noir", "History", "Horror", "Music", "Musical", "Mystery", "Romance", "Sci-Fi", "Short", "Sport", "Thriller"),
    *("War", "Western"),
)
OTHER_GENRES = ("Adult", "News", "Reality-TV", "Talk-Show")
_EXPECTED = "dataset/0114709.jpeg and dataset/0114709.json with the key 'genres' (2.0: .jpg), and split.json where there is one"
_LARGEST = 1 << 22  # bytes of a film's JSON file
_LONGEST_TITLE = 1_000


class MmImdbSource(ListedSource):
    """Read MM-IMDb: genres, title and year of the JSON files, and its own split; the plots are on no poster and not used."""

    name, unit = "mm_imdb", "film"

    def __init__(self, folder: str | pathlib.Path):
        """Take the folder with dataset/ and split.json; version 2.0 has no split."""
        self.place = str(folder)
        self._folder = pathlib.Path(folder)
        self._listed: Listed | None = None

    def decisions(self) -> Mapping[str, Any]:
        """Return that the split is the folder's own, where it has one."""
        return {"data.split_by": "column"} if (self._folder / SPLIT_FILE).is_file() else {}

    def _read(self) -> Listed:
        if self._listed is None:
            check_folder(self._folder, _EXPECTED)
            found = find_pictures(self._folder)
            how, notes = list[str](), CellNotes()
            reader = _Reader(self._folder, found, notes)
            listed = list_items(reader.items(), found.left_out, found.other_files, how, notes)
            if not listed.pictures.posters:
                raise self._empty(found)
            how.extend(reader.describe())
            self._listed = listed
        return self._listed

    def _empty(self, found: FoundPictures) -> InputError:
        return InputError(
            f"data.images={self.place!r} has no picture with a usable JSON file of the same name ({len(found.pictures):,} "
            f"pictures); {describe_entries(self._folder)}.{first_left_out(found.left_out)} Expected: {_EXPECTED}."
        )


class _Reader:
    """Read the JSON files of the pictures, and count everything."""

    def __init__(self, folder: pathlib.Path, found: FoundPictures, notes: CellNotes):
        self._splits, self._chosen = read_split(folder / SPLIT_FILE, notes), read_list(folder / LIST_FILE)
        self._root = os.path.join(os.path.abspath(folder), "")
        self._found, self._notes = found, notes
        self._counts, self._others = Counter[str](), Counter[str]()

    def items(self) -> Iterator[Item]:
        """Yield the films whose picture and JSON file can be used."""
        counts, left_out, pictured = self._counts, self._found.left_out, DiskSet()
        for name, file in self._found.pictures:
            stem = os.path.basename(name)
            about = os.path.join(os.path.dirname(file), f"{stem}.json")
            pictured.add(os.fsencode(about))
            if self._chosen and stem not in self._chosen:
                left_out[f"not in {LIST_FILE}"].append(Skipped(shown(name), f"{LIST_FILE} does not name it"))
                continue
            entry = self._film(about, shown(f"{name}.json"))
            if isinstance(entry, str):
                left_out["JSON file"].append(Skipped(shown(f"{name}.json"), entry))
                continue
            split = self._splits.get(stem, "")
            counts["films"] += 1
            counts[split] += 1
            film = f"tt{stem.zfill(DIGITS)}" if stem.isdecimal() else stem
            yield Item(stem, file, film, entry._replace(split=split))
        self._record_films_without_picture(pictured)

    def _record_films_without_picture(self, pictured: DiskSet) -> None:
        """Record the JSON files without a picture; those with one are no other files."""
        missing = (
            (os.fsencode(file.path), Skipped(shown(file.path[len(self._root) :]), "there is no picture of the same name"))
            for file in list_files(self._root)
            if file.other == ".json" and file.path[len(self._root) :] != SPLIT_FILE and os.fsencode(file.path) not in pictured
        )
        self._found.left_out.add("no picture", sort_on_disk(Skipped._make, missing))
        del self._found.other_files[".json"]

    def describe(self) -> Iterator[str]:
        """Yield what was decided, and the counts of everything."""
        counts, films = self._counts, self._counts["films"]
        yield f"labels: 'genres' in the JSON files of {films:,} films; the plots are on no poster and not used"
        others = ", ".join(f"{name} {self._others[name]:,}" for name in OTHER_GENRES)
        yield (
            f"outside the 23 genres of the set's authors: {others}; {counts['no other']:,} films have no genre among the 23. "
            "data.labels decides"
        )
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
        labels = parse_labels(film["genres"], ",").names
        others = [name for name in labels if name in OTHER_GENRES]
        self._others.update(others)
        self._counts["no other"] += bool(others) and len(others) == len(labels)
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
