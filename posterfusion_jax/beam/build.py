"""Build the dataset with the TFDS builder in Apache Beam workers, which decode the images and write the shards."""

import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from posterfusion_jax.beam import pipeline
from posterfusion_jax.datasets.imdb_posters.image_check import ImageCheck, check_image
from posterfusion_jax.datasets.imdb_posters.imdb_posters_dataset_builder import Builder
from posterfusion_jax.datasets.imdb_posters.shards import Shard, shard_from_json, shard_to_json, write_shard
from posterfusion_jax.posters.decode import UnreadableImage


def make_beam_builder(flags: Sequence[str], folder: pathlib.Path) -> type[Builder]:
    """Return a `Builder` that runs on Beam.

    Titles are joined and splits made in this process; every worker needs access to posters and dataset. A `BeamBasedBuilder`
    would write the rows in a different order, in different shards.

    Args:
      flags: Beam's own.
      folder: for the data exchanged between this process and the workers.
    """
    pipeline.make_pipeline(flags)  # before anything is read, so that a wrong flag is reported first

    class BeamBuilder(Builder, skip_registration=True):
        name = Builder.name

        def check_images(self, paths: Iterable[pathlib.Path]) -> list[ImageCheck]:
            checks = pipeline.map_items(_check, (str(path.absolute()) for path in paths), flags=flags, folder=folder)
            return [UnreadableImage(check) if isinstance(check, str) else tuple(check) for check in checks]

        def write_shards(self, shards: Sequence[Shard]) -> list[int]:
            return pipeline.map_items(_write, map(shard_to_json, shards), flags=flags, folder=folder)

    return BeamBuilder


def _check(path: str) -> list[Any] | str:
    check = check_image(pathlib.Path(path))
    return str(check) if isinstance(check, UnreadableImage) else list(check)


def _write(shard: dict[str, Any]) -> int:
    return write_shard(shard_from_json(shard))
