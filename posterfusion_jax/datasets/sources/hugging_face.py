"""Read a data set that the library `datasets` saved to disk; its pictures are written to files of their own."""

import dataclasses
import pathlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.datasets.sources.base import LeftOut
from posterfusion_jax.datasets.sources.hf_parts import Part, open_parts, picture_bytes
from posterfusion_jax.datasets.sources.listed import (
    Item,
    Listed,
    ListedSource,
    check_folder,
    first_left_out,
    list_items,
    states_split,
)
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.picture_files import PictureFiles, hash_picture
from posterfusion_jax.datasets.sources.table_columns import NO_COLUMN, TableColumns
from posterfusion_jax.datasets.tables.columns import SPLIT_OF, Roles, find_roles, is_id_name
from posterfusion_jax.datasets.tables.row_parser import RowParser
from posterfusion_jax.datasets.tables.rows import SAMPLE_ROWS, Row
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.posters.image_files import OtherFiles
from posterfusion_jax.utils.disk_collections import DiskDict

_EXPECTED = "the files of datasets.save_to_disk: dataset_info.json and state.json, or dataset_dict.json"
_FILM_COLUMNS = ("imdb", "tmdb", "movie", "film", "poster")  # beginnings of names
_POSTER_WORDS = ("ocrtext", "ocr", "postertext", "words")  # columns of words on posters; others may be plots or prompts
_SHOWN = 12  # columns in messages


class HuggingFaceSource(ListedSource):
    """Read labels and pictures of a folder that `datasets.Dataset.save_to_disk` or that of a `DatasetDict` has written."""

    name = "hugging_face"

    def __init__(self, folder: str | pathlib.Path, pictures_dir: str | pathlib.Path, columns: TableColumns | None = None):
        """Take the folder, the folder where pictures are written, and what is known of the columns."""
        self.place = str(folder)
        self._folder, self._pictures_dir = pathlib.Path(folder), pathlib.Path(pictures_dir)
        self._columns = columns or TableColumns()
        self._opened: list[Part] | None = None
        self._roles_found: Roles | None = None
        self._vector = False  # whether the labels are vectors of 0 and 1
        self._listed: Listed | None = None

    @property
    def unit(self) -> str:
        """Return what a group is: "film" where a column is named as in a catalogue of films, else "group"."""
        parts = self._parts()
        names = [_plain(name) for part in parts for name in (*part.header, *part.pictures)]
        return "film" if any(name.startswith(_FILM_COLUMNS) for name in names) else "group"

    def decisions(self) -> Mapping[str, Any]:
        """Return the columns that are used, and that the parts are the split, where there are train and another one."""
        roles = self._roles()
        fields = {name: getattr(roles, name) or NO_COLUMN for name in ("group", "title", "year", "split", "text")}
        indicators = "*" if any("," in name for name in roles.indicators) else ",".join(roles.indicators)
        fields |= {"id": self._id_column(), "labels": roles.labels or indicators, "separator": roles.notation}
        by_column = {"data.split_by": "column"} if roles.split or self._states_split() else {}
        return {f"data.table_columns.{name}": value for name, value in fields.items()} | by_column

    def _parts(self) -> list[Part]:
        if self._opened is None:
            check_folder(self._folder, _EXPECTED)
            self._opened = open_parts(self._folder)
        return self._opened

    def _states_split(self) -> bool:
        return states_split([SPLIT_OF.get(part.name.lower(), "") for part in self._parts()])

    def _roles(self) -> Roles:
        if self._roles_found is None:
            first = next((part for part in self._parts() if len(part.rows)), self._parts()[0])
            sample = [Row("", cells) for cells in first.sample(SAMPLE_ROWS)]
            roles = find_roles(first.header, sample, self._columns, place=self.place)
            if not (roles.labels or roles.indicators):
                raise InputError(
                    f"data.images={self.place!r} has no column of labels; it has {', '.join(first.header[:_SHOWN])}. Name it "
                    "with data.table_columns.labels=COLUMN."
                )
            if roles.labels:
                place = first.header.index(roles.labels)
                self._vector = _is_vector([row.cells[place] for row in sample])
            words = roles.text if self._columns.text or _plain(roles.text) in _POSTER_WORDS else ""
            self._roles_found = dataclasses.replace(roles, text=words)
        return self._roles_found

    def _read(self) -> Listed:
        if self._listed is None:
            roles, parts = self._roles(), self._parts()
            for part in parts:
                self._check_columns(part, roles)
            parsers = [RowParser(part.header, roles) for part in parts]
            for parser in parsers[1:]:
                parser.notes = parsers[0].notes
            files, counts, left_out, how = PictureFiles(self._pictures_dir), Counter[str](), LeftOut(), list[str]()
            items = self._items(parts, parsers, files, left_out, counts)
            listed = list_items(items, left_out, OtherFiles(), how, parsers[0].notes)
            if not listed.pictures.posters:
                raise InputError(
                    f"data.images={self.place!r} has {counts['rows']:,} rows, and none has a picture.{first_left_out(left_out)}"
                )
            how.extend(self._describe(roles, files, counts))
            self._listed = listed
        return self._listed

    def _check_columns(self, part: Part, roles: Roles) -> None:
        """Raise InputError where a part lacks a column that another one has."""
        used = [
            roles.id,
            *roles.ids,
            roles.group,
            roles.title,
            roles.year,
            roles.labels,
            *roles.indicators,
            roles.split,
            roles.text,
        ]
        missing = [name for name in used if name and name not in part.header]
        if missing:
            raise InputError(
                f"data.images={self.place!r}: the part {part.name!r} has no column {missing[0]!r}, which "
                f"{self._parts()[0].name!r} has; its columns are {', '.join(part.header[:_SHOWN])}. Parts must have the same."
            )

    def _items(
        self, parts: Sequence[Part], parsers: Sequence[RowParser], files: PictureFiles, left_out: LeftOut, counts: Counter[str]
    ) -> Iterator[Item]:
        seen, stated = DiskDict(str), self._states_split()
        for part, parser in zip(parts, parsers, strict=True):
            part_split = SPLIT_OF.get(part.name.lower(), "") if stated else ""
            for number, cells, picture in part.read():
                place = f"{part.name} row {number}".strip()
                counts["rows"] += 1
                if isinstance(cells, str):
                    left_out["row"].append(Skipped(place, cells))
                    continue
                data = picture_bytes(picture)
                if isinstance(data, str):
                    left_out["no picture"].append(Skipped(place, data))
                    continue
                sha256 = hash_picture(data)
                first = seen.get(sha256)
                if first is not None:
                    left_out["second row of a picture"].append(Skipped(place, f"{first} has the same picture, and counts"))
                    continue
                seen[sha256] = place
                parsed = parser.parse(Row(place, self._without_vector(cells, part)))
                entry = parsed.entry._replace(split=parsed.entry.split or part_split)
                counts[entry.split] += 1
                counts["several pictures"] += isinstance(picture, list) and len(picture) > 1
                ids = parsed.ids[0] if self._is_id(parsed.ids) else ""
                counts["by column"] += bool(parsed.group)
                counts["by id"] += bool(ids and not parsed.group)
                yield Item(sha256, files.add(data, sha256), parsed.group or ids or f"sha256:{sha256[:32]}", entry)

    def _without_vector(self, cells: list[Any], part: Part) -> list[Any]:
        """Return the cells with the numbers of the places that are 1, from 0, instead of a vector of labels."""
        place = part.header.index(self._roles().labels) if self._vector else None
        if place is None or not isinstance(cells[place], list):
            return cells
        return [*cells[:place], [str(number) for number, flag in enumerate(cells[place]) if flag], *cells[place + 1 :]]

    def _is_id(self, ids: Sequence[str]) -> bool:
        """Return whether a row has an id, in a column that is named as one or given, and not just in the first column."""
        return bool(ids and self._id_column())

    def _id_column(self) -> str:
        name = self._roles().id
        return name if name and (self._columns.id == name or is_id_name(name)) else ""

    def _describe(self, roles: Roles, files: PictureFiles, counts: Counter[str]) -> Iterator[str]:
        first, parts, posters = (
            self._parts()[0],
            self._parts(),
            sum(counts[split] for split in (*SPLITS, "")),
        )
        shown = ", ".join(f"{part.name or 'one part'} {len(part.rows):,} rows" for part in parts)
        yield f"parts: {shown}; {posters:,} of {counts['rows']:,} rows are posters"
        indicators = f"{len(roles.indicators)} columns of 0 and 1: {', '.join(roles.indicators[:_SHOWN])}"
        vector = ", vectors of 0 and 1: the labels are the numbers of their places, from 0" if self._vector else ""
        yield f"labels: {f'column {roles.labels!r}{vector}' if roles.labels else indicators}"
        unused = f"; not used: {', '.join(first.pictures[1:])}" if first.pictures[1:] else ""
        yield (
            f"pictures: column {first.pictures[0]!r}{unused}; {files.written:,} of {posters:,} written to files now; of "
            f"{counts['several pictures']:,} rows with several the first"
        )
        grouped = roles.group or (f"{roles.title!r} and year" if roles.title else "no column")
        yield (
            f"group: {grouped} for {counts['by column']:,} posters, the id for {counts['by id']:,}, the bytes of the picture "
            f"for {posters - counts['by column'] - counts['by id']:,}"
        )
        columns = {
            "title": roles.title or "none",
            "year": roles.year or "none",
            "words on the poster": roles.text or "none, by OCR",
        }
        yield f"columns: {', '.join(f'{what}: {column}' for what, column in columns.items())}"
        if roles.split or self._states_split():
            in_splits = ", ".join(f"{split or 'none'} {counts[split]:,}" for split in (*SPLITS, ""))
            yield f"split: {f'column {roles.split!r}' if roles.split else 'the parts'}: {in_splits}"
        else:
            yield "split: none; the parts are not train and at least one of validation and test"


def _is_vector(cells: Sequence[Any]) -> bool:
    """Return whether the cells are vectors of 0 and 1 of one length, one place for each label."""
    vectors = [cell for cell in cells if isinstance(cell, list)]
    one_length = len({len(vector) for vector in vectors}) == 1 and len(vectors[0]) > 2
    flags = all(isinstance(value, int | float) and value in (0, 1) for vector in vectors for value in vector)
    return one_length and flags and len(vectors) == len(cells)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def make(options: SourceOptions) -> HuggingFaceSource:
    """Return the source of a data set on disk. Raises InputError where there is no folder for its pictures."""
    if not options.pictures_dir:
        raise InputError("data.source='hugging_face' writes pictures to files and needs a folder for them (pictures_dir).")
    return HuggingFaceSource(options.folder, options.pictures_dir, options.columns)
