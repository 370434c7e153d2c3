"""Open a folder that the library `datasets` has saved, without the network, and read its rows."""

import importlib
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.decode import read_bytes
from posterfusion_jax.utils.telemetry import disable_telemetry

_BATCH = 32  # rows with their pictures in memory
_PICTURE_NAMES = ("image", "poster", "picture", "img", "cover", "images")
_SHOWN = 12  # columns in messages


class Part(NamedTuple):
    """Hold a part of a data set, such as "train".

    Attributes:
      name: of the part; "" where the data set has no parts.
      rows: the `datasets.Dataset`, whose pictures are not decoded.
      header: names of the columns without pictures.
      pictures: names of the columns with pictures, the one that is used first.
    """

    name: str
    rows: Any
    header: tuple[str, ...]
    pictures: tuple[str, ...]

    def sample(self, count: int) -> list[list[Any]]:
        """Return the cells of the first rows that can be read, in the order of `header`; at most `count`."""
        plain = self.rows.select(range(min(len(self.rows), count))).select_columns(list(self.header))
        return [cells for _, cells, _ in Part(self.name, plain, self.header, ()).read() if not isinstance(cells, str)]

    def read(self) -> Iterator[tuple[int, list[Any] | str, Any]]:
        """Yield, for each row, its number from 1, its cells in the order of `header`, and the value of its picture.

        In place of the cells of a row that cannot be read is the reason, as text.
        """
        used = [*self.header, *self.pictures[:1]]
        rows = self.rows.select_columns(used)
        names = {column: rows.features[column] for column in self.header}
        for start in range(0, len(rows), _BATCH):
            for number, row in _read_batch(rows, range(start, min(start + _BATCH, len(rows)))):
                if isinstance(row, str):
                    yield number, row, None
                else:
                    cells = [_named(row[column], names[column]) for column in self.header]
                    yield number, cells, row[self.pictures[0]] if self.pictures else None


def open_parts(folder: str | os.PathLike[str]) -> list[Part]:
    """Return the parts of a folder that `save_to_disk` has written.

    Raises:
      InputError: the package `datasets` is missing, the folder is of another kind, or has no column of pictures.
    """
    datasets = _library()
    try:
        loaded = datasets.load_from_disk(os.path.abspath(folder))
    except Exception as error:  # of datasets, pyarrow and the file system
        raise InputError(
            f"data.images={os.fspath(folder)!r} cannot be read by datasets.load_from_disk ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}). Give the folder that save_to_disk has written; it has "
            "dataset_info.json and state.json, or dataset_dict.json."
        ) from error
    parts = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {"": loaded}
    return [_part(name, rows, datasets, folder) for name, rows in parts.items()]


def picture_bytes(value: Any) -> bytes | str:
    """Return the bytes of a picture; or, as text, why there are none.

    Args:
      value: bytes, {"bytes", "path"} of which one may be None, or a list of these, of which the first counts.
    """
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        data, path = value.get("bytes"), value.get("path")
        if not data and path:
            try:
                value = read_bytes(pathlib.Path(path))
            except ValueError as error:  # UnreadableImage is one, too
                return f"its file {str(path)[:200]!r}: {error}"
        else:
            value = data
    if not value:
        return "it has no picture"
    return bytes(value) if isinstance(value, bytes | bytearray) else f"its picture is a {type(value).__name__}, not bytes"


def _library() -> Any:
    """Return the package `datasets`, set to stay off the network."""
    os.environ["HF_DATASETS_OFFLINE"] = "1"
    disable_telemetry()
    try:
        datasets: Any = importlib.import_module("datasets")
    except ImportError as error:
        datasets, cause = None, error
    else:
        cause = None
    if not hasattr(datasets, "load_from_disk"):  # a folder named "datasets" can be imported, too
        raise InputError(
            "data.source='hugging_face' needs the package datasets, which is not installed: pip install datasets. Without it, "
            "export pictures to a folder and labels to a table, and give --table=FILE --images=DIR."
        ) from cause
    return datasets


def _part(name: str, rows: Any, datasets: Any, folder: str | os.PathLike[str]) -> Part:
    columns = {column: _picture_kind(feature) for column, feature in rows.features.items()}
    found = [column for column, kind in columns.items() if kind]
    if not found:
        shown = ", ".join(list(columns)[:_SHOWN])
        raise InputError(
            f"data.images={os.fspath(folder)!r} has no column of pictures{f' in {name}' if name else ''}; its columns are "
            f"{shown}. Pictures are a column of datasets.Image, or of bytes."
        )
    for column in found:
        if columns[column] == "Image":
            rows = rows.cast_column(column, datasets.Image(decode=False))
        elif columns[column] == "list":
            rows = rows.cast_column(column, type(rows.features[column])(datasets.Image(decode=False)))
    by_name = sorted(found, key=lambda column: _PICTURE_NAMES.index(column.lower()) if column.lower() in _PICTURE_NAMES else 99)
    return Part(name, rows, tuple(column for column in columns if column not in found), tuple(by_name))


def _picture_kind(feature: Any) -> str:
    """Return whether a column has pictures: "Image", "list" of these, "bytes", or "" for none."""
    if type(feature).__name__ == "Image":
        return "Image"
    if type(getattr(feature, "feature", None)).__name__ == "Image":
        return "list"
    of_object = isinstance(feature, dict) and "bytes" in feature and (_is_bytes(feature["bytes"]) or "path" in feature)
    return "bytes" if _is_bytes(feature) or of_object else ""


def _is_bytes(feature: Any) -> bool:
    return getattr(feature, "dtype", "") in ("binary", "large_binary")


def _read_batch(rows: Any, numbers: range) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    """Yield (number from 1, row or the reason why it cannot be read)."""
    try:
        columns = rows[numbers.start : numbers.stop]
    except Exception as error:  # of pyarrow and datasets, which have many kinds
        if len(numbers) == 1:
            yield numbers.start + 1, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            return
        for number in numbers:
            yield from _read_batch(rows, range(number, number + 1))
        return
    for place, number in enumerate(numbers):
        yield number + 1, {name: values[place] for name, values in columns.items()}


def _named(value: Any, feature: Any) -> Any:
    """Return a value with the names of class labels in place of their numbers; "" for none."""
    if value is None:
        return ""
    inner = feature[0] if isinstance(feature, Sequence) and feature else getattr(feature, "feature", None)
    if isinstance(value, list) and inner is not None:
        return [_named(item, inner) for item in value]
    if isinstance(value, dict) and isinstance(feature, dict):
        named = {key: _named(item, feature.get(key)) for key, item in value.items()}
        lists = [item for item in named.values() if isinstance(item, list)]
        if len(lists) == len(named) and len({len(item) for item in lists}) == 1:  # a list of objects, by columns
            return [dict(zip(named, items, strict=True)) for items in zip(*lists, strict=True)]
        return named
    names = getattr(feature, "names", None)
    if isinstance(names, list) and isinstance(value, int):
        return names[value] if 0 <= value < len(names) else ""
    return value
