"""Rows to bytes: those of TFDS's own serializer, the fields in order."""

import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.example_serializer import ExampleSerializer
from tensorflow_datasets.proto import tf_example_pb2

from posterfusion_jax.datasets.imdb_posters.imdb_posters_dataset_builder import Builder
from posterfusion_jax.datasets.imdb_posters.join import Poster
from posterfusion_jax.datasets.imdb_posters.shards import partition_rows, serialize
from posterfusion_jax.datasets.imdb_posters.text_provenance import TextProvenance
from posterfusion_jax.genres import GENRES, encode_genres

# tensorflow-datasets 4.9.10 asks protobuf 6, which Beam needs, for a deprecated attribute.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


def poster(number: int = 1, **fields) -> Poster:
    values = {
        "poster_id": f"tt{number:07d}_1",
        "film_id": f"tt{number:07d}",
        "title": "Amélie 愛",
        "year": 2001,
        "split": "",
        "genres": ("comedy", "romance"),
        "file": "absent.jpg",
        "sha256": "ab" * 32,
        "size": 1,
        "store_verbatim": True,
        "text": "LE FABULEUX DESTIN",
        "reading": TextProvenance("ok", "rapidocr"),
    }
    return Poster(**(values | fields))


@pytest.mark.parametrize("fields", [{}, {"text": "", "year": None, "reading": TextProvenance()}, {"genres": ()}])
def test_a_row_is_what_tfds_makes_of_it(tmp_path, fields):
    row, image = poster(**fields), b"\xff\xd8 not looked into \x00\xff"
    features: tfds.features.FeaturesDict = Builder(data_dir=tmp_path).info.features
    example = {name: getattr(row, name) for name in ("poster_id", "film_id", "title", "text")}
    example["labels"] = encode_genres(row.genres)
    example |= {"year": -1 if row.year is None else row.year, "image": image, "image_sha256": row.sha256}
    example["ocr_status"] = row.reading.status
    by_tfds = ExampleSerializer(features.get_serialized_info()).serialize_example(features.encode_example(example))
    in_order = tf_example_pb2.Example.FromString(by_tfds).SerializeToString(deterministic=True)
    assert serialize(row, image, GENRES) == in_order


def test_shards_are_of_nearly_equal_length_and_keep_the_order(monkeypatch):
    posters = [poster(number, size=30 << 20) for number in range(7)]
    dealt = partition_rows(posters)
    assert [len(shard) for shard in dealt] == [2, 2, 1, 2]
    assert [row for shard in dealt for row in shard] == posters
    assert [len(shard) for shard in partition_rows([poster(number, size=200 << 20) for number in range(3)])] == [1, 1, 1]
