"""The builder on Beam: the dataset of the plain builder, byte for byte."""

import functools
import importlib.util
import os
import pathlib

import pytest
from imdb_folder import film_id, make_folder
from PIL import Image

from posterfusion_jax.beam.build import make_beam_builder
from posterfusion_jax.datasets.imdb_posters import shards
from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.imdb_posters.options import BuildOptions
from posterfusion_jax.datasets.imdb_posters.reader import open_dataset
from posterfusion_jax.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("apache_beam") is None, reason="apache-beam is not installed (the extra beam)"),
    # tensorflow-datasets 4.9.10 asks protobuf 6, which Beam needs, for a deprecated attribute.
    pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning"),
]


@pytest.fixture
def posters_dir(tmp_path, monkeypatch) -> pathlib.Path:
    """Posters for several shards; one is stored as another format, one is damaged, one copied."""
    monkeypatch.setattr(shards, "_SHARD_BYTES", 20_000)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    folder = make_folder(tmp_path / "posters")
    Image.new("CMYK", (20, 30)).save(folder / "images" / f"{film_id(1)}_8.jpg")
    (folder / "images" / f"{film_id(1)}_9.jpg").write_bytes(b"\xff\xd8 torn")
    (folder / "images" / f"{film_id(2)}_9.jpg").write_bytes((folder / "images" / f"{film_id(2)}_1.jpg").read_bytes())
    return folder


def files_of(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("split_by", ["film", "poster"])
def test_the_bytes_are_those_of_the_plain_builder(posters_dir, tmp_path, split_by):
    flags = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"] if split_by == "film" else []
    options = BuildOptions(split_by=split_by)
    plain = build_dataset(posters_dir, tmp_path / "plain", options, progress=False)
    make_builder = functools.partial(make_beam_builder, flags)
    beam = build_dataset(posters_dir, tmp_path / "beam", options, make_builder=make_builder, progress=False)
    assert files_of(beam.dir) == files_of(plain.dir)
    assert len(list(beam.dir.glob("*train.array_record*"))) > 1
    assert beam.report == plain.report
    assert beam.report["left_out"].keys() == {"unreadable image", "same bytes, same film"}
    rows = [row["poster_id"] for row in open_dataset(beam.dir).splits["train"]]
    assert rows == open_dataset(plain.dir).columns("train")["poster_id"]
    assert os.listdir(beam.dir.parent) == os.listdir(plain.dir.parent)  # nothing of the pipeline is left
    assert build_dataset(posters_dir, tmp_path / "beam", options, progress=False).reason is None


def test_a_wrong_flag_is_told_before_anything_is_read(posters_dir, tmp_path):
    with pytest.raises(InputError, match="'--workers' is a flag neither of this command nor of Beam"):
        build_dataset(
            posters_dir, tmp_path / "data", make_builder=functools.partial(make_beam_builder, ["--workers=2"]), progress=False
        )
    assert not list((tmp_path / "data").rglob("*.array_record*"))
