"""Find out which column of a table means what, from the names of the columns and a sample of rows."""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from posterfusion_jax.datasets.label_set import IMDB_GENRES, label_key
from posterfusion_jax.datasets.sources.table_columns import NO_COLUMN, TableColumns
from posterfusion_jax.datasets.tables.label_cells import NOTATIONS, detect_notation, is_placeholder, parse_labels
from posterfusion_jax.datasets.tables.rows import Row, list_columns
from posterfusion_jax.errors import InputError

LABEL_NAMES = (
    *("genre", "genres", "labels", "label", "tags", "subjects", "subject", "categories", "category", "class", "classes"),
    *("genrenames", "moviegenre", "moviegenres", "listedin"),
)
_TITLES = ("title", "primarytitle", "movietitle", "filmtitle", "name", "originaltitle", "booktitle")
_YEARS = ("year", "startyear", "releaseyear", "releasedate", "date", "published", "publicationyear", "publisheddate")
_SPLITS = ("split", "set", "subset", "partition", "fold", "folder")
_TEXTS = ("text", "ocrtext", "words", "postertext", "caption", "ocr")
_PICTURES = ("image", "imagepath", "path", "file", "filename", "filepath", "picture", "poster", "posterpath", "cover", "img")
_GROUPS = ("group", "groupid", "film", "filmid", "movie", "movieid", "tconst", "imdbid", "tmdbid", "imdb", "workid")
_IDS = (
    "id",
    "tconst",
    "imdbid",
    "movieid",
    "tmdbid",
    "isbn",
    "isbn13",
    "asin",
    "key",
    "hash",
    "sha256",
    "md5",
    "filmid",
    "posterid",
)
_PATH = re.compile(r"[^\n]{0,500}\.[A-Za-z]{3,4}|[^\n ]{0,500}/[^\n/]{1,255}")  # a name with a suffix, or folders
_ADDRESS = re.compile(r"https?://\S+\.[A-Za-z]{3,4}(\?\S*)?$")
_NO_LABELS = re.compile(r"adult|video|exists?|is|has|matched|valid|color|colour")
SPLIT_OF = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "eval"), "test"),
}
TRUE, FALSE = ("1", "1.0", "true", "yes", "x"), ("0", "0.0", "false", "no", "")
_SHARE = 0.95  # of the sampled cells, for a meaning that the cells themselves must have
_KNOWN_GENRES = frozenset(label_key(name) for name in IMDB_GENRES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Roles:
    """Hold the columns that have a meaning, by name; "" where the table has none.

    Attributes:
      id: names a row.
      ids: columns that may name the pictures by ids, `id` first.
      picture: the first of `paths`.
      paths: columns of paths, file names or addresses, which may name the pictures.
      group: rows with the same value stay in one split.
      title: for people.
      year: a year or a date.
      labels: names, in the notation `notation`.
      indicators: columns of 0 and 1, one label each, where there is no column `labels`.
      doubtful: columns mostly of 0 and 1 that are no indicators, because of other cells; with the first of these.
      split: train, validation or test.
      text: the words on the poster.
      notation: as `TableColumns.separator`.
    """

    id: str
    ids: tuple[str, ...]
    picture: str
    paths: tuple[str, ...]
    group: str
    title: str
    year: str
    labels: str
    indicators: tuple[str, ...]
    doubtful: tuple[tuple[str, str], ...]
    split: str
    text: str
    notation: str


def find_roles(header: Sequence[str], sample: Sequence[Row], given: TableColumns, *, place: str) -> Roles:
    """Return which columns mean what.

    Args:
      header: names of the columns.
      sample: some rows.
      given: what the user states; the rest is detected.
      place: of the table, for messages.

    Raises:
      InputError: a column that is given does not exist, or a separator is not known.
    """
    columns = {name: [row.cells[number] for row in sample] for number, name in enumerate(header)}
    find = _Finder(columns, place)
    labels, indicators = _find_labels(columns, find, given)
    paths = _find_paths(columns, find, given)
    title = find.column("title", given.title, _TITLES) or ("" if given.title else find.content(_has_years_in_titles))
    taken = {labels, title, *indicators, *paths}
    first = [name for name in header[:1] if name not in taken and not given.id]
    own_id = find.column("id", given.id, _IDS) or next(iter(first), "")
    others = () if given.id else tuple(name for name in header if _plain(name) in _IDS and name != labels)
    if given.separator and given.separator not in NOTATIONS:
        raise InputError(f"data.table_columns.separator={given.separator!r}: allowed are {', '.join(NOTATIONS)}.")
    return Roles(
        id=own_id,
        ids=tuple(dict.fromkeys((*([own_id] if own_id else []), *others))),
        picture=paths[0] if paths else "",
        paths=paths,
        group=find.column("group", given.group, _GROUPS, _repeats_or_is_filled),
        title=title,
        year=find.column("year", given.year, _YEARS, _has_years),
        labels=labels,
        indicators=indicators,
        doubtful=_find_doubtful(columns, indicators),
        split=find.column("split", given.split, _SPLITS, _has_splits),
        text=find.column("text", given.text, _TEXTS),
        notation=given.separator or (detect_notation(columns[labels]) if labels else ""),
    )


class _Finder:
    """Find columns by name and content."""

    def __init__(self, columns: dict[str, list[Any]], place: str):
        self._columns, self._place = columns, place

    def column(self, role: str, given: str, names: Sequence[str], fits: Callable[[list[Any]], bool] | None = None) -> str:
        """Return the column that is given, or the first with one of the names (in their order) whose cells fit."""
        if given == NO_COLUMN:
            return ""
        if given:
            return self.named(role, given)
        for name in names:
            for column, cells in self._columns.items():
                if name in (_plain(column), _plain(column.rpartition(".")[2])) and (fits is None or fits(cells)):
                    return column
        return ""

    def named(self, role: str, given: str) -> str:
        """Return the column of this name, case aside. Raises InputError where there is none."""
        same = [column for column in self._columns if column == given] or [
            column for column in self._columns if column.lower() == given.strip().lower()
        ]
        if not same:
            shown = list_columns(list(self._columns), 15)
            raise InputError(f"data.table_columns.{role}={given!r}: {self._place} has no such column. It has {shown}.")
        return same[0]

    def content(self, fits: Callable[[list[Any]], bool]) -> str:
        """Return the first column whose cells fit."""
        return next((column for column, cells in self._columns.items() if fits(cells)), "")


def _find_labels(columns: dict[str, list[Any]], find: _Finder, given: TableColumns) -> tuple[str, tuple[str, ...]]:
    if given.labels == NO_COLUMN:
        return "", ()
    indicators = tuple(name for name, cells in columns.items() if _is_indicator(name, cells))
    if given.labels == "*":
        return "", indicators
    if given.labels and given.labels not in columns and "," in given.labels:
        return "", tuple(find.named("labels", name) for name in given.labels.split(","))
    named = find.column("labels", given.labels, LABEL_NAMES, None if given.labels else _has_labels)
    if named:
        return named, ()
    if len(indicators) >= 2:
        return "", indicators
    return find.content(_has_known_genres), ()


def _find_paths(columns: dict[str, list[Any]], find: _Finder, given: TableColumns) -> tuple[str, ...]:
    """Return the columns of paths: those with a usual name, others, and those of addresses, whose last part may be a file."""
    if given.picture:
        named = find.column("picture", given.picture, ())
        return (named,) if named else ()
    usual = find.column("picture", "", _PICTURES, _has_file_names)
    paths = [name for name, cells in columns.items() if _has_file_names(cells)]
    addresses = [name for name, cells in columns.items() if _has_addresses(cells)]
    return tuple(dict.fromkeys((*([usual] if usual else []), *paths, *addresses)))


def _find_doubtful(columns: dict[str, list[Any]], indicators: Sequence[str]) -> tuple[tuple[str, str], ...]:
    found = []
    for name, cells in columns.items():
        other = [text for cell in cells if (text := str(cell).strip()).lower() not in (*TRUE[:3], *FALSE[:3])]
        if name not in indicators and other and len(other) <= 0.5 * len(cells) and _may_be_label(name):
            example = next((text for text in other if text), "")
            if example:
                found.append((name, example))
    return tuple(found)


def is_id_name(column: str) -> bool:
    """Return whether a column has the usual name of a column of ids."""
    return _plain(column) in _IDS


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def _texts(cells: list[Any]) -> list[str]:
    return [str(cell).strip() for cell in cells if not is_placeholder(cell)]


def _is_indicator(name: str, cells: list[Any]) -> bool:
    values = Counter(str(cell).strip().lower() for cell in cells)
    known = sum(values[value] for value in (*TRUE[:3], *FALSE[:3]))
    odd = 1 + (1 - _SHARE) * len(cells)  # cells such as "2" or "yes", which the rows' parser counts
    return known > 0 and known >= len(cells) - odd and 2 * known > len(cells) and _may_be_label(name)


def _may_be_label(name: str) -> bool:
    return not _NO_LABELS.fullmatch(name.lower().split("_")[0].split(".")[0])


def _has_labels(cells: list[Any]) -> bool:
    return bool(_texts(cells)) and not all(re.fullmatch(r"[01](\.0)?", text) for text in _texts(cells))


def _has_known_genres(cells: list[Any]) -> bool:
    notation = detect_notation(cells)
    found = [names for cell in cells if (names := parse_labels(cell, notation).names)]
    known = sum(any(label_key(name) in _KNOWN_GENRES for name in names) for names in found)
    return bool(found) and known >= 0.5 * len(cells)


def _has_file_names(cells: list[Any]) -> bool:
    texts = _texts(cells)
    named = sum(_PATH.fullmatch(text) is not None for text in texts)
    return named >= 0.5 * len(texts) > 0 and not _has_addresses(cells)


def _has_addresses(cells: list[Any]) -> bool:
    texts = _texts(cells)
    return sum(_ADDRESS.match(text) is not None for text in texts) >= 0.5 * len(texts) > 0


def _repeats_or_is_filled(cells: list[Any]) -> bool:
    return len(_texts(cells)) >= 0.5 * len(cells) > 0


def _has_years(cells: list[Any]) -> bool:
    texts = _texts(cells)
    return sum(bool(re.search(r"(?<!\d)1[5-9]\d\d|20\d\d(?!\d)", text)) for text in texts) >= 0.5 * len(texts) > 0


def _has_years_in_titles(cells: list[Any]) -> bool:
    texts = _texts(cells)
    return sum(bool(re.fullmatch(r".*\S \((\d{4})\)", text)) for text in texts) >= 0.5 * len(texts) > 0


def _has_splits(cells: list[Any]) -> bool:
    texts = [text.lower() for text in _texts(cells)]
    return sum(text.split("/")[-1] in SPLIT_OF for text in texts) >= _SHARE * len(cells) > 0 and len(set(texts)) > 1
