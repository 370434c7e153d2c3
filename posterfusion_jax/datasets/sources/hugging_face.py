"""Read a data set that the library `datasets` saved to disk; its pictures are written to files of their own."""

import hashlib
import importlib
import os
import pathlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.datasets.sources.base import Entries, LeftOut, Pictures
from posterfusion_jax.datasets.sources.listed import Item, Listed, list_items
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.table_columns import TableColumns
from posterfusion_jax.datasets.tables.columns import SPLIT_OF, Roles, find_roles
from posterfusion_jax.datasets.tables.row_parser import RowParser
from posterfusion_jax.datasets.tables.rows import SAMPLE_ROWS, Row
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.posters.image_files import OtherFiles

_SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif"}


class HuggingFaceSource:
    """Read labels and pictures of a folder that `datasets.Dataset.save_to_disk` has written."""

    name = "hugging_face"

    def __init__(self, folder: str | pathlib.Path, pictures_dir: str | pathlib.Path, columns: TableColumns | None = None):
        """Take the folder, the folder where pictures are written, and what is known of the columns."""
        self.place = str(folder)
        self._folder, self._pictures_dir = pathlib.Path(folder), pathlib.Path(pictures_dir)
        self._columns = columns or TableColumns()
        self._listed: Listed | None = None
        self._unit = "group"

    @property
    def unit(self) -> str:
        """Return what a group is: "film" where a column has the name of a film catalogue."""
        self._read()
        return self._unit

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

    def _read(self) -> Listed:
        if self._listed is None:
            left_out, counts, how = LeftOut(), Counter[str](), list[str]()
            parts = _load(self._folder)
            self._listed = list_items(self._items(parts, left_out, counts, how), left_out, OtherFiles(), how)
            if not counts["pictures"]:
                raise InputError(f"data.images={self.place!r} holds no picture that can be read.")
            how.append(f"pictures: {counts['pictures']:,}, {counts['written']:,} of them written to files now")
        return self._listed

    def _items(self, parts: Mapping[str, Any], left_out: LeftOut, counts: Counter[str], how: list[str]) -> Iterator[Item]:
        first = next(iter(parts.values()))
        images = _image_columns(first)
        header = tuple(name for name in first.column_names if name not in images)
        if not images:
            raise InputError(
                f"data.images={self.place!r} has no column of pictures; it has {', '.join(first.column_names[:12])}."
            )
        decode = _class_names(first)
        sample = [
            Row("", [decode(name, row[name]) for name in header]) for row in first.select(range(min(len(first), SAMPLE_ROWS)))
        ]
        roles = find_roles(header, sample, self._columns, place=self.place)
        if not (roles.labels or roles.indicators):
            raise InputError(
                f"data.images={self.place!r} has no column of labels; it has {', '.join(header[:12])}. Name it with "
                "--config.data.table_columns.labels=COLUMN."
            )
        names = [re.sub(r"[\W_]+", "", name.lower()) for name in header]
        self._unit = "film" if any(name.startswith(("imdb", "tmdb", "movie", "film", "poster")) for name in names) else "group"
        how.append(f"labels: {f'column {roles.labels!r}' if roles.labels else f'{len(roles.indicators)} columns of 0 and 1'}")
        how.append(f"split: {', '.join(f'{name} {len(part):,}' for name, part in parts.items())}")
        parser = RowParser(header, roles)
        seen: dict[str, str] = {}
        for part_name, part in parts.items():
            for number, row in enumerate(part):
                place = f"{part_name} row {number + 1}"
                data = _picture_bytes(row[images[0]])
                if data is None:
                    left_out["no picture"].append(Skipped(place, f"the column {images[0]!r} holds none"))
                    continue
                sha256 = hashlib.sha256(data).hexdigest()
                if sha256 in seen:
                    left_out["second row of a picture"].append(Skipped(place, f"{seen[sha256]} has the same picture"))
                    continue
                seen[sha256] = place
                yield self._item(parser, roles, Row(place, [decode(name, row[name]) for name in header]), data, sha256, counts)

    def _item(self, parser: RowParser, roles: Roles, row: Row, data: bytes, sha256: str, counts: Counter[str]) -> Item:
        parsed = parser.parse(row)
        split = parsed.entry.split or SPLIT_OF.get(row.place.split(" row ")[0].lower(), "")
        counts["pictures"] += 1
        suffix = next((suffix for magic, suffix in _SUFFIXES.items() if data.startswith(magic)), ".img")
        file = self._pictures_dir / f"{sha256}{suffix}"
        if not file.is_file():
            counts["written"] += 1
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(".partial")
            partial.write_bytes(data)
            os.replace(partial, file)
        group = parsed.group or (parsed.ids[0] if roles.ids and parsed.ids else f"sha256:{sha256[:32]}")
        return Item(sha256, str(file), group, parsed.entry._replace(split=split))


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


def _picture_bytes(value: Any) -> bytes | None:
    if isinstance(value, bytes):
        return value or None
    if isinstance(value, dict):
        if value.get("bytes"):
            return value["bytes"]
        try:
            return pathlib.Path(value["path"]).read_bytes() if value.get("path") else None
        except OSError:
            return None
    return None


def make(options: SourceOptions) -> HuggingFaceSource:
    """Return the source of a data set on disk."""
    if not options.pictures_dir:
        raise InputError("data.source='hugging_face' writes pictures to files and needs a folder for them (pictures_dir).")
    return HuggingFaceSource(options.folder, options.pictures_dir, options.columns)
