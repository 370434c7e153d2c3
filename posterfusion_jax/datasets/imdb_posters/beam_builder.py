"""The TFDS builder with its work done in Apache Beam workers: images are decoded there and shards written."""

import functools
import itertools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.core.example_serializer import ExampleSerializer
from tensorflow_datasets.core.splits import SplitDict
from tensorflow_datasets.core.writer import ShardWriter

from posterfusion_jax import pipelines
from posterfusion_jax.datasets.imdb_posters.imdb_posters_dataset_builder import Builder
from posterfusion_jax.datasets.imdb_posters.join import ImageCheck, check_image


def on_beam(flags: Sequence[str], folder: pathlib.Path) -> type[Builder]:
    """`Builder` on Beam. Titles are joined and splits made in this process; every worker sees posters and dataset.

    A `BeamBasedBuilder` would put the rows into an order of its own, in shards of its own. TFDS can write the shards of a
    `ShardBasedBuilder` in Beam, too, but runs its one pipeline anew, with all earlier splits, for every split
    (tensorflow-datasets 4.9.10, core/split_builder.py).

    Args:
      flags: Beam's own.
      folder: for what passes between this process and the workers.
    """
    pipelines.make_pipeline(flags)  # before anything is read: a wrong flag is told at once

    class BeamBuilder(Builder, skip_registration=True):
        name = Builder.name

        def check_images(self, paths: Iterable[pathlib.Path]) -> list[ImageCheck]:
            return pipelines.map_items(check_image, [path.absolute() for path in paths], flags=flags, folder=folder)

        def _download_and_prepare(self, dl_manager: Any, download_config: Any = None) -> None:
            assert self.info.features is not None
            specs: Any = self.info.features.get_serialized_info()
            serializer = ExampleSerializer(specs)
            write = functools.partial(_write_shard, ShardWriter(self.info.features, serializer, self._example_writer()))
            shards = [
                _Shard(split, self._get_filename_template(split), index, len(generators), examples)
                for split, generators in self._shard_iterators_per_split(dl_manager).items()
                for index, examples in enumerate(generators)
            ]
            rows = pipelines.map_items(write, [(shard.path, shard.examples) for shard in shards], flags=flags, folder=folder)
            infos = []
            for split, found in itertools.groupby(zip(shards, rows, strict=True), key=lambda pair: pair[0].split):
                of_split, lengths = zip(*found, strict=True)
                size = sum(os.path.getsize(shard.path) for shard in of_split)
                infos.append(
                    tfds.core.SplitInfo(
                        name=split, shard_lengths=list(lengths), num_bytes=size, filename_template=of_split[0].template
                    )
                )
            self.info.set_splits(SplitDict(infos))

    return BeamBuilder


class _Shard(NamedTuple):
    split: str
    template: Any
    index: int
    count: int
    examples: Callable[[], Iterator[tuple[str, dict[str, Any]]]]

    @property
    def path(self) -> str:
        return os.path.abspath(self.template.sharded_filepath(shard_index=self.index, num_shards=self.count))


def _write_shard(writer: ShardWriter, item: tuple[str, Callable[[], Iterator[Any]]]) -> int:
    path, examples = item
    return writer.write(examples(), epath.Path(path))
