"""Write rows to shards: each row serialized as TFDS would, and written while the next images are being read."""

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tensorflow_datasets.core.file_adapters import ADAPTER_FOR_FORMAT, FileFormat
from tensorflow_datasets.proto import tf_example_pb2

from posterfusion_jax.datasets.imdb_posters.join import Poster, image_bytes
from posterfusion_jax.utils.path_alias import plain_path
from posterfusion_jax.utils.prefetch import threaded_map

_SHARD_BYTES = 64 << 20  # of images in a shard
_IMAGES_A_TASK = 4  # at most 16 times this number per core are in memory


class Shard(NamedTuple):
    """Hold the name of a file of the dataset, the rows to write to it, and the names of the labels' columns."""

    path: str
    file_format: FileFormat
    posters: Sequence[Poster]
    names: tuple[str, ...]


def shard_to_json(shard: Shard) -> dict[str, Any]:
    """Return a shard as JSON values, for a worker in another process."""
    posters = list(shard.posters)
    return {"path": shard.path, "file_format": shard.file_format.value, "posters": posters, "names": shard.names}


def shard_from_json(values: dict[str, Any]) -> Shard:
    """Invert `shard_to_json`."""
    posters = list(map(Poster.from_json, values["posters"]))
    return Shard(values["path"], FileFormat(values["file_format"]), posters, tuple(values["names"]))


def partition_rows(posters: Sequence[Poster]) -> list[Sequence[Poster]]:
    """Partition consecutive rows into shards of nearly equal length, about `_SHARD_BYTES` each."""
    total = sum(poster.size for poster in posters)
    count = min(len(posters), -(-total // _SHARD_BYTES))
    bounds = [round(len(posters) * i / count) for i in range(count + 1)]
    return [posters[start:stop] for start, stop in itertools.pairwise(bounds)]


def write_shard(shard: Shard) -> int:
    """Write a shard and return the size of its file in bytes."""
    ADAPTER_FOR_FORMAT[shard.file_format].write_examples(str(plain_path(shard.path)), _examples(shard))
    return os.path.getsize(shard.path)


def serialize(poster: Poster, image: bytes, names: tuple[str, ...]) -> bytes:
    """Return a row as bytes, equal for equal rows: as TFDS's serializer, with the fields in a fixed order.

    `names` are those of the labels' columns.

    TFDS takes six times as long, because it turns every value into a NumPy array.
    """
    example = tf_example_pb2.Example()  # pyright: ignore[reportAttributeAccessIssue]
    feature = example.features.feature  # filled in place, which takes a third of the time of passing dicts
    texts = {
        "poster_id": poster.poster_id,
        "film_id": poster.film_id,
        "title": poster.title,
        "image_sha256": poster.sha256,
        "text": poster.text,
        "ocr_status": poster.reading.status,
    }
    for name, text in texts.items():
        feature[name].bytes_list.value.append(text.encode())
    feature["image"].bytes_list.value.append(image)
    feature["year"].int64_list.value.append(-1 if poster.year is None else poster.year)
    feature["labels"].int64_list.value.extend([int(name in poster.genres) for name in names])
    return example.SerializeToString(deterministic=True)


def _examples(shard: Shard) -> Iterator[tuple[str, bytes]]:
    def example(poster: Poster) -> tuple[str, bytes]:
        return poster.poster_id, serialize(poster, image_bytes(poster), shard.names)

    return threaded_map(example, shard.posters, chunk_size=_IMAGES_A_TASK)
