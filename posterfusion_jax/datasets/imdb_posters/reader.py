"""Read rows of a built dataset in any order, without TensorFlow."""

import json
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf.message import DecodeError
from tensorflow_datasets.proto import tf_example_pb2

from posterfusion_jax.datasets.imdb_posters import paths
from posterfusion_jax.datasets.sources.pictures import POSTER_ID
from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import PAPER_GENRES, read_genres
from posterfusion_jax.ocr.text.title_removal import remove_title
from posterfusion_jax.posters.folder import film_of
from posterfusion_jax.utils.checksums import corrupt_file_error, read_checked_json, unreadable
from posterfusion_jax.utils.path_alias import plain_path, user_names

_INFO, _FEATURES = "dataset_info.json", "features.json"  # TFDS's
_PROOF = re.compile(r"(Corrupted|Invalid) Riegeli|hash mismatch|should be at least 64KB")  # array_record's wording
_REBUILD = "Rebuild the dataset with --mode=build, and trust nothing else in that folder."
_FIX = "Remove that folder and rebuild the dataset with --mode=build."
_TEXTS = ("poster_id", "film_id", "title", "image_sha256", "text", "ocr_status")


class Rows(Sequence):
    """Give access to the rows of one split in stored order; each is read from the files on request, in any thread."""

    def __init__(self, source: Sequence[bytes], folder: pathlib.Path):
        """Take the rows as TFDS wrote them, each a tf.train.Example; TFDS's own reader takes four times as long."""
        self._source, self._folder = source, folder

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return a row as `PosterDataset.row` does. Raises InputError if its file is damaged."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        try:
            data = self._source[index % len(self)]
        except Exception as error:  # of array_record
            raise _row_error(self._folder, f"row {index}: ", error) from error
        try:
            return self._parsed(data)
        except (DecodeError, UnicodeDecodeError, IndexError) as error:  # truncated where no checksum covers it
            raise corrupt_file_error(self._folder, _FIX, f"row {index} is no row: {error}") from None

    @staticmethod
    def _parsed(data: bytes) -> dict[str, Any]:
        example = tf_example_pb2.Example.FromString(data)  # pyright: ignore[reportAttributeAccessIssue]
        stored = example.features.feature
        row: dict[str, Any] = {name: stored[name].bytes_list.value[0].decode() for name in _TEXTS}
        row["year"] = stored["year"].int64_list.value[0]
        row["image"] = stored["image"].bytes_list.value[0]
        row["labels"] = np.array(stored["labels"].int64_list.value, np.uint8)
        return row


class PosterDataset:
    """Give access to a built dataset.

    Attributes:
      dir: its folder.
      report: its counts and where it came from (`report.make_report`).
      splits: name -> its rows, for random access.
    """

    def __init__(self, folder: pathlib.Path, report: dict[str, Any], splits: Mapping[str, Sequence[dict[str, Any]]]):
        self.dir = folder
        self.report = report
        self.splits = splits
        self._columns: dict[str, dict[str, Any]] = {}
        self._without_title: dict[str, list[str]] = {}

    @property
    def fingerprint(self) -> str:
        """Return the hash of all rows (ids, films, titles, years, genres, image hashes, texts) in stored order."""
        return self.report["row_hash"]

    @property
    def genres(self) -> tuple[str, ...]:
        """Return the names of the labels' columns; of an earlier version's dataset, in the order of its counts."""
        if "genres_order" not in self.report:
            counted = next(iter(self.report.get("splits", {}).values()), {}).get("genres")
            return tuple(counted) if counted else PAPER_GENRES
        return read_genres(self.report, place=f"{self.dir / paths.REPORT_FILE}", key="genres_order")

    def row(self, split: str, index: int) -> dict[str, Any]:
        """Return one row.

        Returns:
          str `poster_id`, `film_id`, `title`, `image_sha256`, `text` and `ocr_status`; int `year` (-1: unknown); bytes
          `image` (JPEG or PNG, for `posters.decode.decode_poster`); `labels` uint8 [13].
        """
        return self.splits[split][index]

    def columns(self, split: str) -> dict[str, Any]:
        """Return the rows of a split without their images, column by column; kept in memory after the first call.

        Returns:
          Lists of str, `year` int32 [n], `labels` uint8 [n, 13], in the order of the rows.

        Raises:
          InputError: a row has a malformed `poster_id`, or its labels have another number of genres than the report.
        """
        if split not in self._columns:
            columns: dict[str, Any] = {name: [] for name in (*_TEXTS, "year", "labels")}
            for row in self.splits[split]:
                for name, values in columns.items():
                    values.append(row[name])
            columns["year"] = np.array(columns["year"], np.int32)
            columns["labels"] = np.stack(columns["labels"])
            if columns["labels"].shape[1] != len(self.genres):
                raise InputError(
                    f"the dataset in {str(self.dir)!r} has labels of {columns['labels'].shape[1]} genres, but its report names "
                    f"{len(self.genres)}. Rebuild it with --mode=build."
                )
            of_films = "source" not in self.report
            for poster_id in columns["poster_id"]:  # they become file names
                if (film_of(poster_id) if of_films else POSTER_ID.fullmatch(poster_id)) is None:
                    allowed = "<tconst>_<k> or <tconst>" if of_films else "a plain name"
                    raise InputError(
                        f"the dataset in {str(self.dir)!r} has the poster {poster_id!r}, whose id is not {allowed}. Rebuild it "
                        "with --mode=build."
                    )
            self._columns[split] = columns
        return self._columns[split]

    def count_groups(self) -> int:
        """Return the number of groups of posters (films, for a folder of films) in all splits together."""
        return len({group for split in self.splits for group in self.columns(split)["film_id"]})

    def texts_without_title(self, split: str) -> list[str]:
        """Return the texts of a split without the words of their films' titles; kept in memory after the first call."""
        if split not in self._without_title:
            columns = self.columns(split)
            texts = zip(columns["text"], columns["title"], strict=True)
            self._without_title[split] = [remove_title(text, title) for text, title in texts]
        return self._without_title[split]


def open_dataset(folder: str | pathlib.Path) -> PosterDataset:
    """Open the dataset that `build.build_dataset` (or `tfds build --file_format=array_record`) left in `folder`.

    Raises:
      InputError: there is none, it is damaged, it has a format without random access, or it names files outside
        the folder.
    """
    folder = pathlib.Path(folder)
    report_file = folder / paths.REPORT_FILE
    if not report_file.is_file():
        raise InputError(
            f"there is no dataset in {str(folder)!r}. Build it with --mode=build, or name the right data.dataset_dir."
        )
    report = read_checked_json(report_file, fix=_FIX)
    _check_features(folder)
    plain_folder = plain_path(folder)  # TFDS and array_record take some names for patterns or buckets
    try:
        builder = tfds.builder_from_directory(plain_folder)
        named = [file for split in builder.info.splits.values() for file in split.filepaths]
    except Exception as error:  # of protobuf, json, etils and TFDS
        for name in (_INFO, _FEATURES):
            _check_json(folder / name)
        raise unreadable(f"{folder}: {_INFO} or {_FEATURES}", error) from error
    file_format = builder.info.file_format
    if file_format != tfds.core.FileFormat.ARRAY_RECORD:
        raise InputError(
            f"the dataset in {str(folder)!r} cannot be read at random: it was built as {file_format}. "
            "Build it with --mode=build, or with `tfds build --file_format=array_record`."
        )
    for file in named:  # names from the folder's own dataset_info.json, which is untrusted
        if os.path.dirname(os.path.abspath(file)) != os.path.abspath(plain_folder):
            raise InputError(f"{folder / _INFO} names {user_names(str(file))!r}, a file outside its folder. {_REBUILD}")
        if not os.path.lexists(file):
            raise corrupt_file_error(folder, _FIX, f"{os.path.basename(file)} is missing")
    # The sources of all splits; pyright does not see through TFDS's decorator.
    as_stored = tfds.decode.DeserializeMethod.RAW_BYTES
    try:
        sources: Any = builder.as_data_source(deserialize_method=as_stored)  # pyright: ignore[reportCallIssue]
        found = {split: len(source) for split, source in sources.items()}
    except Exception as error:  # of TFDS and array_record
        raise _row_error(folder, "", error) from error
    expected = {split: part["posters"] for split, part in report["splits"].items()}
    if found != expected:
        raise corrupt_file_error(folder, _FIX, f"its splits have {found} rows, but its report has {expected}")
    return PosterDataset(folder, report, {split: Rows(source, folder) for split, source in sources.items()})


def _row_error(folder: pathlib.Path, where: str, error: Exception) -> InputError:
    """Return the error for an exception of array_record: damage where its checksums or layout prove that."""
    if isinstance(error, RuntimeError) and _PROOF.search(str(error)):
        return corrupt_file_error(folder, _FIX, f"{where}{error}")
    return unreadable(f"{folder} {where}".strip().rstrip(":"), error)


def _check_json(path: pathlib.Path) -> None:
    """Check that a file is complete JSON. Raises InputError if it is not: TFDS writes it whole."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError) as error:
        raise corrupt_file_error(path, _FIX, str(error)) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _check_features(folder: pathlib.Path) -> None:
    """Check that features.json names TFDS's own classes only, because TFDS imports their modules.

    Raises:
      InputError: the file cannot be read, or names another class.
    """
    try:
        left = [json.loads((folder / _FEATURES).read_text(encoding="utf-8"))]
    except (FileNotFoundError, ValueError, RecursionError) as error:
        raise InputError(f"{folder / _FEATURES} cannot be read ({error}). {_REBUILD}") from error
    except OSError as error:
        raise unreadable(folder / _FEATURES, error) from error
    while left:
        value = left.pop()
        if isinstance(value, dict):
            for named in (value[key] for key in ("pythonClassName", "python_class_name") if key in value):
                if not str(named).startswith("tensorflow_datasets."):
                    raise InputError(
                        f"{folder / _FEATURES} names the Python class {named!r}, which is none of TFDS's. {_REBUILD}"
                    )
            left += value.values()
        elif isinstance(value, list):
            left += value
