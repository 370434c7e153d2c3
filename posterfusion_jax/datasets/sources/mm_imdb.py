"""Read the folder of MM-IMDb: dataset/<7 digits>.jpeg with a JSON file each, and split.json."""

import json
import pathlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.datasets.imdb_posters.title_cells import parse_year
from posterfusion_jax.datasets.sources.base import Entries, Entry, LeftOut, Pictures
from posterfusion_jax.datasets.sources.listed import Item, Listed, list_items
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.pictures import find_pictures
from posterfusion_jax.datasets.tables.columns import SPLIT_OF
from posterfusion_jax.datasets.tables.label_cells import parse_labels
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.posters.image_files import shown

# The genres of Arevalo et al., "Gated Multimodal Units for Information Fusion", 2017: all but four that hardly occur.
MM_IMDB23 = (
    *(
        "Action",
        "Adventure",
        "Animation",
        "Biography",
        "Comedy",
        "Crime",
        "Documentary",
        "Drama",
        "Family",
        "Fantasy",
        "Film-Noir",
    ),
    *("History", "Horror", "Music", "Musical", "Mystery", "Romance", "Sci-Fi", "Short", "Sport", "Thriller", "War", "Western"),
)
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
            found, splits, counts, how = find_pictures(self._folder), self._read_split(), Counter[str](), list[str]()
            others = found.other_files
            items = self._items(found.pictures, splits, found.left_out, counts)
            self._listed = list_items(items, found.left_out, others, how)
            if not counts["films"]:
                raise InputError(
                    f"data.images={self.place!r} has no picture with a JSON file of the same name beside it "
                    f"({len(found.pictures):,} pictures). Expected: dataset/0114709.jpeg and "
                    "dataset/0114709.json with the key 'genres'."
                )
            split = f"{_SPLIT_FILE}, {counts['split']:,} films" if splits else f"there is no {_SPLIT_FILE}"
            how += [f"labels: 'genres' of {counts['films']:,} JSON files", f"split: {split}", "group: the film"]
        return self._listed

    def _items(
        self, pictures: Iterable[tuple[str, str]], splits: Mapping[str, str], left_out: LeftOut, counts: Counter[str]
    ) -> Iterator[Item]:
        for name, file in pictures:
            path = pathlib.Path(file)
            entry = _read_film(path.with_suffix(".json"))
            if isinstance(entry, str):
                left_out["JSON file"].append(Skipped(shown(f"{name}.json"), entry))
                continue
            split = splits.get(path.stem, "")
            counts["films"] += 1
            counts["split"] += bool(split)
            film = f"tt{path.stem}" if path.stem.isdigit() else path.stem
            yield Item(path.stem, file, film, entry._replace(split=split))

    def _read_split(self) -> dict[str, str]:
        file = self._folder / _SPLIT_FILE
        if not file.is_file():
            return {}
        try:
            content = json.loads(file.read_bytes())
            return {str(film): SPLIT_OF[name.lower()] for name, films in content.items() for film in films}
        except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
            raise InputError(
                f"{str(file)!r} is not the split of MM-IMDb ({type(error).__name__}: {str(error)[:100]}). It must be an "
                "object with lists of ids under train, dev and test."
            ) from error


def _read_film(path: pathlib.Path) -> Entry | str:
    """Return the entry of a film's JSON file, or why it cannot be used."""
    try:
        if path.stat().st_size > _LARGEST:
            return f"it has over {_LARGEST:,} bytes"
        film = json.loads(path.read_bytes())
    except FileNotFoundError:
        return "there is none beside the picture"
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
