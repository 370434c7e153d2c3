"""The TFDS builder, run by `build.py` or by `tfds build posterfusion_jax/datasets/imdb_posters --manual_dir=FOLDER`."""

import dataclasses
import functools
import itertools
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from posterfusion_jax.datasets.imdb_posters import layout
from posterfusion_jax.datasets.imdb_posters.join import CheckImages, Poster, image_bytes
from posterfusion_jax.datasets.imdb_posters.prepare import Prepared, prepare
from posterfusion_jax.datasets.imdb_posters.report import make_report
from posterfusion_jax.datasets.imdb_posters.sources import Options, Sources, gather
from posterfusion_jax.datasets.imdb_posters.split_file import write_split_file
from posterfusion_jax.datasets.imdb_posters.splits import DEFAULT_FRACTIONS
from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import NUM_GENRES
from posterfusion_jax.ocr.rules import NO_RULES, TextRules

_SHARD_BYTES = 64 << 20  # of images in a shard, which is also about what building holds in memory


@dataclasses.dataclass(eq=False, kw_only=True)
class PosterConfig(tfds.core.BuilderConfig):
    """A TFDS config: `sources.Options`, field for field.

    On the command line another one is JSON under a name of its own: --config='{"name": "seed1", "split_seed": 1}'.
    """

    split_by: str = "film"
    split_file: str | None = None
    split_seed: int = 0
    split_fractions: Sequence[float] = DEFAULT_FRACTIONS
    other_genres: str = "drop_label"
    preferred_engines: Sequence[str] = ()
    record_files: Sequence[str] = ()
    text_rules: TextRules | Mapping[str, Any] = NO_RULES

    def options(self) -> Options:
        """The options, checked. Raises InputError."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(Options)}
        values["split_fractions"] = tuple(self.split_fractions)
        values["preferred_engines"] = tuple(self.preferred_engines)
        values["record_files"] = tuple(self.record_files)
        values["text_rules"] = _text_rules(self.text_rules)
        return Options(**values)


class _RepeatableWriter(tfds.core.ExampleWriter):
    """Writes equal examples as equal bytes: TFDS leaves the order of an example's fields, a protobuf map, to chance."""

    def write(self, path, examples):
        return super().write(path, ((key, _canonical(example)) for key, example in examples))


class Builder(tfds.core.ShardBasedBuilder):
    """Film posters with their genres and the words on them.

    A `ShardBasedBuilder`, not a `GeneratorBasedBuilder`: the latter holds a split in memory to shuffle it, and beyond
    1 GB of examples it spills to disk through TensorFlow, which is not there (tensorflow-datasets 4.9.10,
    core/shuffle.py).
    """

    VERSION = tfds.core.Version(layout.VERSION)
    RELEASE_NOTES = {layout.VERSION: "Frequent genres keep their shares in splits of few films, too."}  # noqa: RUF012 (TFDS declares it)
    BUILDER_CONFIGS = [  # noqa: RUF012 (TFDS declares it)
        PosterConfig(name=layout.config_name("film"), split_by="film", description="split by film, genre-stratified"),
        PosterConfig(name=layout.config_name("poster"), split_by="poster", description="split by poster: films leak"),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "manual_dir is your folder of posters: title.basics.tsv.gz as IMDb publishes it, images/<tconst>_<k>.jpg, and "
        "optionally ocr.jsonl with the words on the posters. data/README.md shows where to get them."
    )
    show_progress = True
    check_images: CheckImages | None = None  # of `prepare`
    sources: Sources | None = None  # of the folder and options, where the caller has gathered them

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Film posters, the words read from them, and thirteen genres; see data/README.md.",
            features=tfds.features.FeaturesDict(
                {
                    "poster_id": tfds.features.Text(doc="<tconst>_<k>, the file's name"),
                    "film_id": tfds.features.Text(doc="tconst"),
                    "title": tfds.features.Text(doc="IMDb's primaryTitle; for people, never an input"),
                    "year": tfds.features.Scalar(np.int32, doc="IMDb's startYear, -1 where unknown"),
                    "image": tfds.features.Image(doc="RGB of the poster's own size, upright"),
                    "image_sha256": tfds.features.Text(doc="of the poster's file, as it was found"),
                    "text": tfds.features.Text(doc="the words on the poster, empty where none were read"),
                    "ocr_status": tfds.features.Text(doc="status of the OCR record, or missing"),
                    "labels": tfds.features.Tensor(
                        shape=(NUM_GENRES,), dtype=np.uint8, doc="multi-hot, in the order of genres.GENRES"
                    ),
                }
            ),
            supervised_keys=None,
            homepage="https://developer.imdb.com/non-commercial-datasets/",
            disable_shuffling=True,  # the stored order is the order of the rows
        )

    def _shard_iterators_per_split(self, dl_manager: tfds.download.DownloadManager):
        config = self.builder_config
        assert isinstance(config, PosterConfig)
        options = config.options()
        sources = self.sources or gather(os.fspath(dl_manager.manual_dir), options, progress=self.show_progress)
        prepared = prepare(sources, options, check_images=self.check_images, progress=self.show_progress)
        # TFDS writes into a temporary folder and renames it when all is there: the report and the split go in first.
        report = make_report(prepared, config=config.name, text_rules=options.text_rules, fingerprint=sources.fingerprint)
        self._write_companions(prepared, report)
        return {
            split: [functools.partial(_examples, shard) for shard in _shards(posters)]
            for split, posters in prepared.splits.items()
        }

    def _example_writer(self) -> tfds.core.ExampleWriter:
        assert self.info.file_format is not None
        return _RepeatableWriter(self.info.file_format)

    def _write_companions(self, prepared: Prepared, report: dict[str, Any]) -> None:
        folder = pathlib.Path(self.data_path)
        write_split_file(folder / layout.SPLITS_FILE, prepared.assignment)
        (folder / layout.REPORT_FILE).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        lines = [
            json.dumps({"kind": kind, "what": item.what, "reason": item.reason})
            for kind, items in prepared.left_out.items()
            for item in items
        ]
        (folder / layout.LEFT_OUT_FILE).write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _text_rules(given: TextRules | Mapping[str, Any]) -> TextRules:
    """The rules as they are, or from JSON."""
    if isinstance(given, TextRules):
        return given
    known = [field.name for field in dataclasses.fields(TextRules)]
    for name in given:
        if name not in known:
            raise InputError(f"text_rules has the field {name!r}; allowed are {', '.join(known)}.")
    return TextRules(**given)


def _canonical(example: bytes) -> bytes:
    message = tf_example_pb2.Example.FromString(example)  # pyright: ignore[reportAttributeAccessIssue]
    return message.SerializeToString(deterministic=True)


def _shards(posters: Sequence[Poster]) -> list[Sequence[Poster]]:
    """Consecutive rows in shards of nearly equal length, about `_SHARD_BYTES` each."""
    total = sum(poster.size for poster in posters)
    count = min(len(posters), -(-total // _SHARD_BYTES))
    bounds = [round(len(posters) * i / count) for i in range(count + 1)]
    return [posters[start:stop] for start, stop in itertools.pairwise(bounds)]


def _examples(posters: Sequence[Poster]) -> Iterator[tuple[str, dict[str, Any]]]:
    for poster in posters:
        yield (
            poster.poster_id,
            {
                "poster_id": poster.poster_id,
                "film_id": poster.film_id,
                "title": poster.title,
                "year": -1 if poster.year is None else poster.year,
                "image": image_bytes(poster),
                "image_sha256": poster.sha256,
                "text": poster.text,
                "ocr_status": poster.reading.status,
                "labels": poster.labels,
            },
        )
