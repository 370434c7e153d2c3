"""The folders that benchmarks make: whole, of any size, the same each time, and what the rival's own joining makes of them."""

import hashlib
import pathlib

import pytest

from benchmarks.dataset_baselines import plain_rows
from benchmarks.generated_posters import make_folder
from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.imdb_posters.reader import open_dataset

# tensorflow-datasets 4.9.10 asks protobuf 6, which Beam needs, for a deprecated attribute.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")
POSTERS = 100


def hash_files(folder: pathlib.Path) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("images/*/*"))]


def test_every_poster_is_a_row_with_text_and_none_is_like_another(tmp_path):
    make_folder(tmp_path / "posters", posters=POSTERS, width=32)
    built = build_dataset(tmp_path / "posters", tmp_path / "data", progress=False)
    assert built.report["left_out"] == {}
    assert sum(split["posters"] for split in built.report["splits"].values()) == POSTERS
    assert built.report["text"]["empty"] == {"posters": POSTERS, "empty": 0}
    rows = {row["poster_id"]: row for split in open_dataset(built.dir).splits.values() for row in split}
    joined = plain_rows(tmp_path / "posters")
    assert {row["poster_id"] for row in joined} == rows.keys()
    for row in joined:
        ours = rows[row["poster_id"]]
        assert (row["title"], row["year"], row["labels"]) == (ours["title"], ours["year"], ours["labels"].tolist())
        assert " ".join(row["text"].split()) == ours["text"]


def test_the_same_arguments_make_the_same_folder(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make_folder(tmp_path / name, posters=20, width=32, seed=seed)
    a, b, c = (hash_files(tmp_path / name) for name in "abc")
    assert a == b
    assert len(set(a)) == 20
    assert not set(a) & set(c)
    assert (tmp_path / "a" / "ocr.jsonl").read_bytes() == (tmp_path / "b" / "ocr.jsonl").read_bytes()
