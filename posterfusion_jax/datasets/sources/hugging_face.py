"""Read a data set that the library `datasets` saved to disk; its pictures are written to files of their own."""

import functools
import hashlib
import importlib
import os
import pathlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.datasets.sources.base import Entries, LeftOut, Pictures
from posterfusion_jax.datasets.sources.listed import Item, Listed, list_items
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.table_columns import TableColumns
from posterfusion_jax.datasets.sources.written_pictures import write_picture
from posterfusion_jax.datasets.tables.columns import SPLIT_OF, find_roles, is_id_name
from posterfusion_jax.datasets.tables.row_parser import RowParser
from posterfusion_jax.datasets.tables.rows import SAMPLE_ROWS, Row
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.decode import UnreadableImage, read_bytes
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.posters.image_files import OtherFiles
from posterfusion_jax.utils.disk_collections import DiskDict


class HuggingFaceSource:
    """Read labels and pictures of a folder that `datasets.Dataset.save_to_disk` has written."""

    name = "hugging_face"

    def __init__(self, folder: str | pathlib.Path, pictures_dir: str | pathlib.Path, columns: TableColumns | None = None):
        """Take the folder, the folder where pictures are written, and what is known of the columns."""
        self.place = str(folder)
        self._folder, self._pictures_dir = pathlib.Path(folder), pathlib.Path(pictures_dir)
        self._columns = columns or TableColumns()
        self._listed: Listed | None = None

    @property
    def unit(self) -> str:
        """Return what a group is: "film" where a column has the name of a film catalogue."""
        names = [re.sub(r"[\W_]+", "", name.lower()) for part in self._parts.values() for name in part.column_names]
        return "film" if any(name.startswith(("imdb", "tmdb", "movie", "film", "poster")) for name in names) else "group"

    def list_pictures(self) -> Pictures:
        """Return the pictures. Raises InputError where `datasets` is missing or the folder is none of its own."""
        return self._read().pictures

    def read_entries(self, posters: Iterable[HasIds]) -> Entries:
        """Return titles and labels by poster_id."""
        return self._read().entries

    def hash_labels(self) -> str:
        """Return the hash of all titles, labels and splits."""
        return self._read().labels_hash

    def decisions(self) -> Mapping[str, Any]:
        """Return that the parts train, validation and test are the split, where there are any."""
        entries = self._read().entries.by_key
        return {"data.split_by": "column"} if any(entry.split for _, entry in entries.items()) else {}

    @functools.cached_property
    def _parts(self) -> dict[str, Any]:
        return _load(self._folder)

    def _read(self) -> Listed:
        if self._listed is None:
            left_out, counts, how, notes = LeftOut(), Counter[str](), list[str](), dict[str, Any]()
            try:
                self._listed = list_items(self._items(left_out, counts, how, notes), left_out, OtherFiles(), how, notes)
            except (InputError, MemoryError):
                raise
            except Exception as error:  # of datasets and pyarrow, which read the rows one after the other
                raise InputError(
                    f"data.images={self.place!r} cannot be read to its end ({type(error).__name__}: {str(error)[:200]}). Is it "
                    "complete? Save it again with save_to_disk."
                ) from error
            if not counts["pictures"]:
                self._listed = None
                raise InputError(
                    f"data.images={self.place!r} holds no picture that can be read ({counts['rows']:,} rows; "
                    f"{'; '.join(f'{kind}: {items[0].what} {items[0].reason}' for kind, items in left_out.items())})."
                )
            how.append(
                f"pictures: {counts['pictures']:,} of {counts['rows']:,} rows, {counts['written']:,} of them written to files "
                "now"
            )
            others = counts["pictures"] - counts["by column"]
            how.append(f"group: a column of groups or ids for {counts['by column']:,} posters, the bytes of {others:,} others")
        return self._listed

    def _items(self, left_out: LeftOut, counts: Counter[str], how: list[str], notes: dict[str, Any]) -> Iterator[Item]:
        parts = self._parts
        first = next((part for part in parts.values() if len(part)), next(iter(parts.values())))
        images = _image_columns(first)
        header = tuple(name for name in first.column_names if name not in images)
        if not images:
            raise InputError(
                f"data.images={self.place!r} has no column of pictures; it has {', '.join(first.column_names[:12])}."
            )
        _check_parts(parts, (images[0], *header), self.place)
        decode = _class_names(first)
        sample = [
            Row("", [decode(name, row[name]) for name in header])
            for row in first.select_columns(list(header)).select(range(min(len(first), SAMPLE_ROWS)))
        ]
        roles = find_roles(header, sample, self._columns, place=self.place)
        if not (roles.labels or roles.indicators):
            raise InputError(
                f"data.images={self.place!r} has no column of labels; it has {', '.join(header[:12])}. Name it with "
                "--config.data.table_columns.labels=COLUMN."
            )
        others = f"; not used: {', '.join(images[1:])}" if images[1:] else ""
        how.append(f"picture: column {images[0]!r}{others}")
        how.append(f"labels: {f'column {roles.labels!r}' if roles.labels else f'{len(roles.indicators)} columns of 0 and 1'}")
        how.append(f"split: {', '.join(f'{name} {len(part):,}' for name, part in parts.items())}")
        if roles.text:
            how.append(
                f"text: column {roles.text!r} has the words on the poster (data.table_columns.text=none: OCR reads them)"
            )
        by_id = bool(self._columns.id) or is_id_name(roles.id)
        parser = RowParser(header, roles)
        seen: DiskDict[str] = DiskDict(str)
        for part_name, part in parts.items():
            decode = _class_names(part)
            for number, row in enumerate(part.select_columns([images[0], *header])):
                counts["rows"] += 1
                place = f"{part_name} row {number + 1}"
                data = _picture_bytes(row[images[0]])
                if isinstance(data, str):
                    left_out["no picture"].append(Skipped(place, f"the column {images[0]!r} {data}"))
                    continue
                sha256 = hashlib.sha256(data).hexdigest()
                if sha256 in seen:
                    left_out["second row of a picture"].append(Skipped(place, f"{seen[sha256]} has the same picture"))
                    continue
                seen[sha256] = place
                parsed = parser.parse(Row(place, [decode(name, row[name]) for name in header]))
                split = parsed.entry.split or SPLIT_OF.get(part_name.lower(), "")
                group = parsed.group or (parsed.ids[0] if by_id and parsed.ids else "")
                counts["pictures"] += 1
                counts["by column"] += bool(group)
                file, written = write_picture(data, sha256, self._pictures_dir)
                counts["written"] += written
                yield Item(sha256, file, group or f"sha256:{sha256[:32]}", parsed.entry._replace(split=split))
        notes.update(parser.notes)


def _load(folder: pathlib.Path) -> dict[str, Any]:
    """Return the parts of a data set by name, with pictures as bytes."""
    try:
        os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
        datasets: Any = importlib.import_module("datasets")
        load = datasets.load_from_disk  # a folder of this name can be imported, too
    except (ImportError, AttributeError) as error:
        raise InputError("data.source='hugging_face' needs the package datasets: pip install datasets.") from error
    try:
        loaded = load(str(folder))
    except Exception as error:  # of datasets and pyarrow
        raise InputError(
            f"data.images={str(folder)!r} cannot be read by datasets.load_from_disk: {str(error)[:200]}. Give the folder that "
            "save_to_disk has written."
        ) from error
    parts = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {"data": loaded}
    for name, part in parts.items():
        for column, feature in part.features.items():
            if isinstance(feature, datasets.Image):
                part = part.cast_column(column, datasets.Image(decode=False))
        parts[name] = part
    return parts


def _image_columns(part: Any) -> list[str]:
    return [name for name, feature in part.features.items() if type(feature).__name__ == "Image" or _is_bytes(feature)]


def _is_bytes(feature: Any) -> bool:
    return (isinstance(feature, dict) and "bytes" in feature) or getattr(feature, "dtype", "") in ("binary", "large_binary")


def _class_names(part: Any) -> Any:
    """Return a function (column, value) -> value with the names of class labels for their numbers."""
    names: dict[str, list[str]] = {}
    for column, feature in part.features.items():
        inner: Any = getattr(feature, "feature", feature[0] if isinstance(feature, list) and feature else feature)
        if type(inner).__name__ == "ClassLabel":
            names[column] = list(inner.names)

    def decode(column: str, value: Any) -> Any:
        if column not in names or value is None:
            return "" if value is None else value
        own = names[column]
        return [own[k] for k in value if 0 <= k < len(own)] if isinstance(value, list) else own[value] if value >= 0 else ""

    return decode


def _check_parts(parts: Mapping[str, Any], columns: Sequence[str], place: str) -> None:
    """Raise InputError where a part lacks a column that another part has."""
    for name, part in parts.items():
        missing = [column for column in columns if column not in part.column_names]
        if missing:
            raise InputError(
                f"data.images={place!r}: the part {name!r} has no column {', '.join(map(repr, missing))}, which another part "
                "has. Save parts with the same columns."
            )


def _picture_bytes(value: Any) -> bytes | str:
    """Return the bytes of a picture, or why there are none."""
    if isinstance(value, dict):
        if value.get("bytes"):
            return bytes(value["bytes"])
        if not value.get("path"):
            return "holds none"
        try:
            return read_bytes(pathlib.Path(value["path"])) or "names an empty file"
        except UnreadableImage as error:
            return f"names a file: {error}"
    return bytes(value) if isinstance(value, bytes | bytearray) and value else "holds none"


def make(options: SourceOptions) -> HuggingFaceSource:
    """Return the source of a data set on disk."""
    if not options.pictures_dir:
        raise InputError("data.source='hugging_face' writes pictures to files and needs a folder for them (pictures_dir).")
    return HuggingFaceSource(options.folder, options.pictures_dir, options.columns)
