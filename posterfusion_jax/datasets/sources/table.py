"""Read labels from a table of the user's own, and pictures from a folder that its rows name."""

import hashlib
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from posterfusion_jax.datasets.imdb_posters.hashing import hash_json
from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.datasets.sources.base import Entries, Entry, LeftOut, Pictures
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.pictures import FoundPictures, Picture, PosterIds, find_pictures, name_poster
from posterfusion_jax.datasets.sources.table_columns import NO_COLUMN, TableColumns
from posterfusion_jax.datasets.tables.columns import Roles, find_roles
from posterfusion_jax.datasets.tables.describe import (
    describe_group,
    example_row,
    ids_repeat,
    no_labels_error,
    no_pictures_error,
)
from posterfusion_jax.datasets.tables.open_table import open_table
from posterfusion_jax.datasets.tables.picture_index import PictureIndex
from posterfusion_jax.datasets.tables.row_parser import ParsedRow, RowParser, candidate_names
from posterfusion_jax.datasets.tables.rows import BadRow, Row, Rows, list_columns
from posterfusion_jax.datasets.tables.second_tables import LongTable, find_label_table, find_links
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import PosterFile, Skipped
from posterfusion_jax.posters.image_files import OtherFiles, format_other_files, shown
from posterfusion_jax.utils.console import sanitize
from posterfusion_jax.utils.disk_collections import DiskDict, DiskSet, sort_on_disk

_LONG_COLUMNS = 3  # columns of a table in long form, at most
_BAD_SHARE, _BAD_LEAST = 0.2, 5  # rows that cannot be read: reaching both ends the run
_EXAMPLES = 3
_WIDTH = 60  # characters of a cell in a message


class _Plan(NamedTuple):
    """Hold how a table is read.

    Attributes:
      rows: the table.
      roles: the meaning of its columns.
      by: how rows name their pictures: "path", or the place of an id in `ParsedRow.ids` and the linked ids after it.
      label_table: the labels' own table, which is the table itself in long form; None for labels in the rows.
      links: the file with ids of other catalogues, and id -> ids; None without one.
      how: what was found out, a line each.
    """

    rows: Rows
    roles: Roles
    by: str | int
    label_table: LongTable | None
    links: tuple[pathlib.Path, Mapping[str, list[str]]] | None
    how: list[str]


class _Loaded(NamedTuple):
    """Hold what was read."""

    pictures: Pictures
    entries: DiskDict[Entry]
    bad_rows: LeftOut
    notes: Mapping[str, Any]
    how: list[str]


class TableSource:
    """Read a table and the folder of its pictures; the meaning of the columns is found out where it is not given."""

    name = "table"

    def __init__(self, table: str | pathlib.Path, images: str | pathlib.Path, columns: TableColumns | None = None):
        """Take the table's file, the folder of its pictures, and what is known of its columns."""
        self.place = str(table)
        self._table, self._images = pathlib.Path(table), pathlib.Path(images)
        self._given = columns or TableColumns()
        self._plan_made: _Plan | None = None
        self._loaded: _Loaded | None = None
        self._found: FoundPictures | None = None
        self._index: PictureIndex | None = None

    @property
    def unit(self) -> str:
        """Return what a group is: "film" where the columns are those of a film catalogue, "book" with an ISBN, else "group"."""
        names = [re.sub(r"[\W_]+", "", name.lower()) for name in self._plan().rows.header]
        if any("isbn" in name for name in names):
            return "book"
        films = any(name.startswith(("imdb", "tmdb", "movie", "film", "tconst", "posterpath")) for name in names)
        return "film" if films or self._names_films() else "group"

    def list_pictures(self) -> Pictures:
        """Return the pictures that rows name. Raises InputError where there are none, or the table cannot be read."""
        return self._load().pictures

    def read_entries(self, posters: Iterable[HasIds]) -> Entries:
        """Return titles and labels by poster_id."""
        loaded = self._load()
        return Entries(loaded.entries, False, loaded.bad_rows, loaded.notes, loaded.how)

    def hash_labels(self) -> str:
        """Return the hash of the tables' bytes and of how they are read."""
        plan = self._plan()
        files = [self._table, *([plan.label_table.path] if plan.label_table else []), *([plan.links[0]] if plan.links else [])]
        hashes = [hash_file(file) for path in files for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
        read = {name: value for name, value in self.decisions().items() if not name.endswith("label_table")}
        return hash_json([hashes, read])

    def decisions(self) -> Mapping[str, Any]:
        """Return the fields data.table_columns.* that repeat how the table is read."""
        plan = self._plan()
        roles, rows = plan.roles, plan.rows
        own = plan.label_table is not None and plan.label_table.path != self._table
        fields = {
            "id": roles.id,
            "picture": roles.picture if plan.by == "path" else "",
            "group": roles.group,
            "title": roles.title,
            "year": roles.year,
            "labels": roles.labels or ",".join(roles.indicators),
            "split": roles.split,
            "text": roles.text,
            "label_table": str(plan.label_table.path.absolute()) if plan.label_table and own else "",
        }
        stated = {name: value or NO_COLUMN for name, value in fields.items()}
        if own:
            stated["labels"] = ""
        stated |= {"separator": roles.notation, "delimiter": rows.delimiter, "encoding": rows.encoding}
        own_split = {"data.split_by": "column"} if roles.split else {}
        return {f"data.table_columns.{name}": value for name, value in stated.items()} | own_split

    def _names_films(self) -> bool:
        plan = self._plan()
        parser = RowParser(plan.rows.header, plan.roles)
        ids = [parsed.ids[:1] for row in plan.rows.sample() if (parsed := parser.parse(row))]
        return sum(bool(found and re.fullmatch(r"tt\d{5,}", found[0])) for found in ids) > 0.5 * len(ids)

    def _plan(self) -> _Plan:
        if self._plan_made is None:
            self._plan_made = self._make_plan()
        return self._plan_made

    def _make_plan(self) -> _Plan:
        given = self._given
        rows = open_table(
            self._table, delimiter="" if given.delimiter == NO_COLUMN else given.delimiter, encoding=given.encoding
        )
        sample = rows.sample()
        if not sample:
            raise InputError(
                f"data.table={self.place!r} has columns ({list_columns(rows.header)}) and no row that can be read. Give a "
                "table with a row per poster."
            )
        roles = find_roles(rows.header, sample, given, place=self.place)
        how = list(rows.how)
        label_table = None
        if given.label_table not in ("", NO_COLUMN) or not (roles.labels or roles.indicators):
            label_table = find_label_table(self._table, rows.header, given.label_table)
            if label_table is None:
                raise no_labels_error(self.place, rows, sample)
            how.append(
                f"labels: {label_table.path.name}, column {label_table.rows.header[label_table.label]!r}, one in each row"
            )
        elif roles.labels and not roles.notation and len(rows.header) <= _LONG_COLUMNS and ids_repeat(sample, rows, roles):
            header = rows.header
            label_table = LongTable(self._table, rows, header.index(roles.id), header.index(roles.labels))
            how.append(f"labels: column {roles.labels!r}, one in each row; rows with the same {roles.id!r} are of one poster")
        elif roles.labels:
            notation = {"": "one in each cell", "list": "lists"}.get(roles.notation, f"separated by {roles.notation!r}")
            how.append(f"labels: column {roles.labels!r}, {notation}")
        else:
            how.append(f"labels: {len(roles.indicators)} columns of 0 and 1: {list_columns(roles.indicators, 8)}")
        links = find_links(self._table, rows.header, roles.id)
        if links:
            how.append(f"ids of IMDb and TMDB: {links[0].name}")
        parser = RowParser(rows.header, roles)
        parsed = [parser.parse(row) for row in sample]
        by = self._choose_pictures(rows, parsed, roles, links, how)
        how.append(describe_group(roles))
        for name, column in (("split", roles.split), ("words", roles.text)):
            if column:
                how.append(f"{name}: column {column!r}")
        return _Plan(rows, roles, by, label_table, links, how)

    def _pictures(self) -> tuple[FoundPictures, PictureIndex]:
        if self._found is None or self._index is None:
            if not self._images.is_dir():
                raise InputError(
                    f"data.images={str(self._images)!r} is no folder. Name the folder with the pictures of the table."
                )
            self._found = find_pictures(self._images)
            if not self._found.pictures:
                others = format_other_files(self._found.other_files)
                raise InputError(
                    f"data.images={str(self._images)!r} holds no picture{f' ({others})' if others else ''}. Name the folder "
                    "with the pictures of the table."
                )
            self._index = PictureIndex(self._found.pictures)
        return self._found, self._index

    def _choose_pictures(self, rows: Rows, parsed: Sequence[ParsedRow], roles: Roles, links: Any, how: list[str]) -> str | int:
        """Return the way in which most of the sampled rows find a picture; of equal ones the first."""
        found, index = self._pictures()
        counts: dict[str | int, int] = {"path": 0} if roles.picture else {}
        for row in parsed:
            if row.path and "path" in counts:
                counts["path"] += bool(index.find_path(row.path))
            for number, names in enumerate(candidate_names(row.ids, links[1].get(row.ids[0], ()) if links and row.ids else ())):
                counts[number] = counts.get(number, 0) + bool(index.find_id(names))
        best = max(counts, key=lambda way: counts[way], default="path")
        if not counts or not counts[best]:
            raise no_pictures_error(self.place, str(self._images), rows, parsed, roles, found.pictures)
        column = roles.picture if best == "path" else (*roles.ids, "an id of IMDb or TMDB", "an id of TMDB")[int(best)]
        how.append(f"pictures: {column!r} names {counts[best]:,} of the first {len(parsed):,}")
        return best

    def _find(self, plan: _Plan, row: ParsedRow, index: PictureIndex) -> list[Picture]:
        if plan.by == "path":
            return index.find_path(row.path)
        others = plan.links[1].get(row.ids[0], ()) if plan.links and row.ids else ()
        names = candidate_names(row.ids, others)
        return index.find_id(names[int(plan.by)]) if int(plan.by) < len(names) else []

    def _load(self) -> _Loaded:
        if self._loaded is None:
            self._loaded = _Loading(self, self._plan()).load()
        return self._loaded


class _Loading:
    """Read all rows of a table once."""

    def __init__(self, source: TableSource, plan: _Plan):
        self._source, self._plan = source, plan
        self._found, self._index = source._pictures()
        self._parser = RowParser(plan.rows.header, plan.roles)
        self._left_out, self._bad_rows = LeftOut(), LeftOut()
        self._bad_rows_seen = self._rows = self._with_picture = 0
        self._used, self._seen, self._ids = DiskSet(), DiskSet(), PosterIds()
        self._entries: DiskDict[Entry] = DiskDict(Entry.from_json)
        self._groups, self._groups_of_several = DiskSet(), DiskSet()
        self._group_count = self._several_count = 0
        self._examples: list[str] = []

    def load(self) -> _Loaded:
        plan = self._plan
        posters = sort_on_disk(PosterFile._make, ((poster.poster_id, poster) for poster in self._posters()))
        self._check_bad_rows()
        if not posters:
            raise InputError(f"no row of data.table={self._source.place!r} has a picture that can be used.")
        unused = (picture for picture in self._found.pictures if os.fsencode(picture.name) not in self._used)
        reason = f"no row of {pathlib.Path(self._source.place).name} names it"
        self._left_out.add("picture without a row", (Skipped(shown(picture.name), reason) for picture in unused))
        for kind, items in self._found.left_out.items():
            self._left_out.add(kind, items)
        return _Loaded(
            Pictures(posters, self._left_out, OtherFiles(self._found.other_files)),
            self._entries,
            self._bad_rows,
            self._parser.notes,
            [*plan.how, *self._summary(len(posters)), *self._examples],
        )

    def _posters(self) -> Iterator[PosterFile]:
        plan = self._plan
        labels = plan.label_table.read(self._parser.key) if plan.label_table else None
        long_itself = plan.label_table is not None and plan.label_table.rows is plan.rows
        for row in plan.rows.read():
            if isinstance(row, BadRow):
                self._bad_rows_seen += 1
                self._bad_rows["table row"].append(Skipped(row.place, row.reason))
                continue
            parsed = self._parser.parse(row, labels)
            own = parsed.ids[0] if parsed.ids else ""
            if long_itself and not self._seen.add(own):
                continue
            self._rows += 1
            pictures = self._source._find(plan, parsed, self._index)
            if not pictures:
                named = parsed.path if plan.by == "path" else own
                self._left_out["no picture"].append(
                    Skipped(row.place, f"there is no picture of {sanitize(named, width=_WIDTH)!r}")
                )
                continue
            self._with_picture += 1
            yield from self._row_posters(row, parsed, pictures)

    def _row_posters(self, row: Row, parsed: ParsedRow, pictures: Sequence[Picture]) -> Iterator[PosterFile]:
        names = [name_poster(picture.name) for picture in pictures]
        group = parsed.group or self._picture_group(parsed, pictures[0])
        if len(self._examples) < _EXAMPLES:
            self._examples.append(example_row(row, parsed, names, group))
        for poster_id, picture in zip(names, pictures, strict=True):
            if not self._used.add(os.fsencode(picture.name)):
                first = self._entries.get(poster_id)
                same = first is not None and set(first.labels) == set(parsed.entry.labels)
                kind = "second row of a picture" if same else "second row of a picture, with other labels"
                self._left_out[kind].append(Skipped(row.place, f"{poster_id} has a row already; the first one counts"))
                continue
            poster_id = self._ids.make(picture.name)
            self._entries[poster_id] = parsed.entry
            if self._groups.add(group):
                self._group_count += 1
            else:
                self._several_count += self._groups_of_several.add(group)
            yield PosterFile(poster_id, group, picture.file)

    def _picture_group(self, parsed: ParsedRow, picture: Picture) -> str:
        """Return the group of a row without one: its id, else the hash of its picture."""
        if parsed.ids:
            return parsed.ids[0][:200]
        return f"sha256:{hash_file(pathlib.Path(picture.file))[:32]}"

    def _check_bad_rows(self) -> None:
        bad, all_rows = self._bad_rows_seen, self._bad_rows_seen + self._rows
        if bad >= _BAD_LEAST and bad >= _BAD_SHARE * all_rows:
            first = "; ".join(f"{item.what}: {item.reason}" for item in self._bad_rows["table row"][:_EXAMPLES])
            raise InputError(
                f"data.table={self._source.place!r}: {bad:,} of {all_rows:,} rows cannot be read ({first}). Is "
                f"data.table_columns.delimiter={self._plan.rows.delimiter!r} right? Cells that hold it must be in quotes."
            )

    def _summary(self, posters: int) -> Iterator[str]:
        missing = self._rows - self._with_picture
        yield f"{self._rows:,} rows, {self._with_picture:,} with a picture, {missing:,} without; {posters:,} posters"
        yield f"{self._group_count:,} {self._source.unit}s, {self._several_count:,} of them with several posters"


def hash_file(path: pathlib.Path) -> str:
    """Return the sha256 of a file; "" of a folder."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make(options: SourceOptions) -> TableSource:
    """Return the source of a table."""
    return TableSource(options.table, options.folder, options.columns)
