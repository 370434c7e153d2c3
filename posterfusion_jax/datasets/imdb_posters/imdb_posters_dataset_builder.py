"""Define the TFDS builder, run by `build.py` or by `tfds build posterfusion_jax/datasets/imdb_posters --manual_dir=FOLDER`."""

import dataclasses
import itertools
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder
from tensorflow_datasets.core.splits import SplitDict

from posterfusion_jax.datasets.imdb_posters import paths as layout
from posterfusion_jax.datasets.imdb_posters.image_check import CheckImages
from posterfusion_jax.datasets.imdb_posters.inputs import collect_inputs
from posterfusion_jax.datasets.imdb_posters.join import Poster
from posterfusion_jax.datasets.imdb_posters.options import BuildOptions, parse_options
from posterfusion_jax.datasets.imdb_posters.prepare import Labelled, Prepared, prepare, read_labels
from posterfusion_jax.datasets.imdb_posters.report import make_report
from posterfusion_jax.datasets.imdb_posters.shards import Shard, partition_rows, write_shard
from posterfusion_jax.datasets.imdb_posters.split_file import write_split_file
from posterfusion_jax.datasets.label_set import ALL, IMDB, LabelCounts, choose_labels
from posterfusion_jax.datasets.sources.imdb_folder import ImdbFolderSource
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.checksums import with_checksum
from posterfusion_jax.utils.path_alias import user_names
from posterfusion_jax.utils.prefetch import start_thread

_HOMEPAGE = "https://developer.imdb.com/non-commercial-datasets/"  # of the titles and genres of films


class PosterConfig(tfds.core.BuilderConfig):
    """Configure the builder with `options.BuildOptions`.

    On the command line another config is JSON with its own name: --config='{"name": "seed1", "split_seed": 1}'.
    """

    def __init__(self, *, options: BuildOptions | None = None, **fields: Any):
        """Take fields of TFDS, such as the name, and the options: checked ones, or the fields that `parse_options` takes.

        Raises:
          InputError: a value that is not allowed.
        """
        names = {field.name for field in dataclasses.fields(BuildOptions)}
        super().__init__(**{name: value for name, value in fields.items() if name not in names})
        self.options = options or parse_options({name: value for name, value in fields.items() if name in names})


class Builder(FileReaderBuilder):
    """Build a dataset of film posters with their genres and the words on them.

    Not a `GeneratorBasedBuilder`: it holds a split in memory to shuffle it, and beyond 1 GB of examples it spills to disk
    through TensorFlow, which is not there (tensorflow-datasets 4.9.10, core/shuffle.py). Nor a `ShardBasedBuilder`: it holds
    a shard in memory to count its examples (core/writer.py).
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
    labelled: Labelled | None = None  # of the source and options, if the caller has read them

    @property
    def label_names(self) -> tuple[str, ...]:
        """Return the names of the labels' columns.

        Raises:
          InputError: they depend on the data, and the caller has not read it.
        """
        if self.labelled is not None:
            return self.labelled.choice.labels.names
        options = self._options
        if options.labels in ((IMDB,), (ALL,)):
            raise InputError(
                f"labels={options.labels[0]!r} depends on the data, which TFDS reads later. Name the labels, or build the "
                "dataset with posterfusion build."
            )
        return choose_labels(options.labels, LabelCounts(), aliases=options.label_aliases).labels.names

    @property
    def _options(self) -> BuildOptions:
        assert isinstance(self.builder_config, PosterConfig)
        return self.builder_config.options

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Posters, the words read from them, and their labels; see data/README.md.",
            features=tfds.features.FeaturesDict(
                {
                    "poster_id": tfds.features.Text(doc="the file's name: <tconst>_<k> of films as IMDb names them"),
                    "film_id": tfds.features.Text(doc="tconst; of other data the group, whose posters stay in one split"),
                    "title": tfds.features.Text(doc="for people, never an input"),
                    "year": tfds.features.Scalar(np.int32, doc="-1 where unknown"),
                    "image": tfds.features.Image(doc="RGB of the poster's own size, upright"),
                    "image_sha256": tfds.features.Text(doc="of the poster's file, as it was found"),
                    "text": tfds.features.Text(doc="the words on the poster, empty where none were read"),
                    "ocr_status": tfds.features.Text(doc="status of the OCR record, or missing"),
                    "labels": tfds.features.Tensor(
                        shape=(len(self.label_names),),
                        dtype=np.uint8,
                        doc="multi-hot, in the order of genres_order in report.json",
                    ),
                }
            ),
            supervised_keys=None,
            homepage=_HOMEPAGE if self.labelled is None or self.labelled.inputs.source.name == "folder" else None,
            disable_shuffling=True,  # the stored order is the order of the rows
        )

    def _download_and_prepare(self, dl_manager: tfds.download.DownloadManager, download_config: Any = None) -> None:
        options = self._options
        labelled = self.labelled
        if labelled is None:
            source = ImdbFolderSource(os.fspath(dl_manager.manual_dir))
            check = self.check_images is None
            labelled = read_labels(collect_inputs(source, options, check=check, progress=self.show_progress), options)
        prepared = prepare(labelled, options, check_images=self.check_images, progress=self.show_progress)
        # TFDS writes into a temporary folder and renames it when all is there: the report and the split go in before.
        assert self.builder_config is not None
        name = self.builder_config.name
        # While the shards are compressed and written, which leaves a core to it.
        report = start_thread(lambda: make_report(prepared, config=name, text_rules=options.text_rules))
        self._write_splits(prepared.splits, prepared.names)
        self._write_companions(prepared, report.result())

    def _write_splits(self, splits: Mapping[str, Sequence[Poster]], names: tuple[str, ...]) -> None:
        file_format = self.info.file_format
        assert file_format is not None
        templates = {split: self._get_filename_template(split) for split in splits}
        shards = {}
        for split, posters in splits.items():
            parts = partition_rows(posters)
            paths = [templates[split].sharded_filepath(shard_index=k, num_shards=len(parts)) for k in range(len(parts))]
            paths = [user_names(os.path.abspath(path)) for path in paths]  # valid for workers in other processes, too
            shards[split] = [Shard(path, file_format, part, names) for path, part in zip(paths, parts, strict=True)]
        sizes = iter(self.write_shards([shard for of_split in shards.values() for shard in of_split]))
        infos = []
        for split, of_split in shards.items():
            lengths = [len(shard.posters) for shard in of_split]
            num_bytes = sum(itertools.islice(sizes, len(of_split)))
            infos.append(
                tfds.core.SplitInfo(name=split, shard_lengths=lengths, num_bytes=num_bytes, filename_template=templates[split])
            )
        self.info.set_splits(SplitDict(infos))

    def write_shards(self, shards: Sequence[Shard]) -> Sequence[int]:
        """Write the shards in this process, one after another, and return the sizes of the files in bytes."""
        return [write_shard(shard) for shard in shards]

    def _write_companions(self, prepared: Prepared, report: dict[str, Any]) -> None:
        folder = pathlib.Path(self.data_path)
        write_split_file(folder / layout.SPLITS_FILE, prepared.assignment)
        (folder / layout.REPORT_FILE).write_text(json.dumps(with_checksum(report), indent=1) + "\n", encoding="utf-8")
        with (folder / layout.LEFT_OUT_FILE).open("w", encoding="utf-8") as file:
            for kind, items in prepared.left_out.items():
                for item in items:
                    file.write(json.dumps({"kind": kind, "what": item.what, "reason": item.reason}) + "\n")
