"""Build datasets of posters as a user would without this package: with plain TFDS, and with Hugging Face datasets."""

import contextlib
import csv
import gzip
import hashlib
import io
import json
import os
import pathlib
import sys
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from posterfusion_jax.genres import GENRES

INSTALL = "pip install datasets -c constraints.txt"


def require_datasets() -> None:
    """End the program with the install command if Hugging Face datasets is missing."""
    try:
        import datasets  # noqa: F401
    except ImportError as error:
        sys.exit(f"Hugging Face datasets is not installed ({error}). Install it: {INSTALL}")


def plain_rows(folder: pathlib.Path) -> list[dict[str, Any]]:
    """Join titles, files and records to dicts: poster_id, film_id, title, year, file, text, labels, split."""
    with gzip.open(folder / "title.basics.tsv.gz", "rt", encoding="utf-8") as file:
        titles = {row["tconst"]: row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}
    with (folder / "ocr.jsonl").open(encoding="utf-8") as file:
        texts = {record["poster_id"]: record["text"] for record in map(json.loads, file)}
    rows = []
    for path in sorted((folder / "images").rglob("*.jpg")):
        film_id = path.stem.partition("_")[0]
        title = titles[film_id]
        genres = title["genres"].lower().split(",")
        labels = [int(genre in genres) for genre in GENRES]
        if any(labels):
            rows.append(
                {
                    "poster_id": path.stem,
                    "film_id": film_id,
                    "title": title["primaryTitle"],
                    "year": int(title["startYear"]) if title["startYear"].isdigit() else -1,
                    "file": os.fspath(path),
                    "text": texts.get(path.stem, ""),
                    "labels": labels,
                    "split": ("test", "validation", *["train"] * 8)[zlib.crc32(film_id.encode()) % 10],
                }
            )
    return rows


def build_with_tfds(folder: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    """Build array_record with a `GeneratorBasedBuilder`."""
    import tensorflow_datasets as tfds

    rows = plain_rows(folder)

    class PlainPosters(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = "plain_posters"
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            text = tfds.features.Text()
            features = {"poster_id": text, "film_id": text, "title": text, "year": tfds.features.Scalar(np.int32)}
            features |= {"image": tfds.features.Image(), "text": text}
            features["labels"] = tfds.features.Tensor(shape=(len(GENRES),), dtype=np.uint8)
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in ("train", "validation", "test")}

        def _generate_examples(self, split):
            for row in rows:
                if row["split"] == split:
                    example = {name: row[name] for name in ("poster_id", "film_id", "title", "year", "text")}
                    yield row["poster_id"], example | {"image": row["file"], "labels": np.array(row["labels"], np.uint8)}

    builder = PlainPosters(data_dir=out, file_format="array_record")
    with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare()
    return pathlib.Path(builder.data_path)


def read_tfds(built: pathlib.Path) -> Iterator[tuple[str, bytes]]:
    """Yield (poster_id, bytes of the image) of all rows."""
    import tensorflow_datasets as tfds

    sources: Any = tfds.builder_from_directory(built).as_data_source(decoders={"image": tfds.decode.SkipDecoding()})
    return ((row["poster_id"].decode(), row["image"]) for source in sources.values() for row in source)


def build_with_datasets(folder: pathlib.Path, out: pathlib.Path, *, processes: int, checked: bool) -> pathlib.Path:
    """Build with `Dataset.from_generator` and an `Image` feature; the split is a column."""
    import datasets

    datasets.disable_progress_bars()
    features = {name: datasets.Value("string") for name in ("poster_id", "film_id", "title", "text", "split")}
    features |= {"year": datasets.Value("int32"), "labels": datasets.List(datasets.Value("uint8")), "image": datasets.Image()}
    dataset = datasets.Dataset.from_generator(
        _with_images,
        features=datasets.Features(features),
        cache_dir=os.fspath(out / "cache"),
        gen_kwargs={"rows": plain_rows(folder), "checked": checked},  # a list is split over the processes
        num_proc=processes,
    )
    assert isinstance(dataset, datasets.Dataset)
    dataset.save_to_disk(out / "saved")
    return out / "saved"


def _with_images(rows: list[dict[str, Any]], checked: bool) -> Iterator[dict[str, Any]]:
    seen = set()
    for row in rows:
        data = pathlib.Path(row["file"]).read_bytes()
        if checked:
            sha256 = hashlib.sha256(data).digest()
            if sha256 in seen:
                continue
            seen.add(sha256)
            with Image.open(io.BytesIO(data)) as image:
                image.load()
        fields = {name: value for name, value in row.items() if name != "file"}
        yield fields | {"image": {"bytes": data, "path": None}}


def open_datasets(built: pathlib.Path) -> Any:
    """Open the result of `build_with_datasets`."""
    import datasets

    return datasets.load_from_disk(built)


def pixels(row: dict[str, Any]) -> np.ndarray:
    """Return a row's image as uint8 [h, w, 3]."""
    return np.asarray(row["image"].convert("RGB"))


def read_datasets(built: pathlib.Path) -> Iterator[tuple[str, bytes]]:
    """Yield (poster_id, bytes of the image) of all rows."""
    import datasets

    dataset = open_datasets(built).cast_column("image", datasets.Image(decode=False))
    return ((row["poster_id"], row["image"]["bytes"]) for row in dataset)
