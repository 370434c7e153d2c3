"""`tfds build` on the command line: needs the extra `tfds` (TensorFlow, Beam, mlcroissant)."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest
from imdb_folder import make_folder

from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.imdb_posters.paths import VERSION
from posterfusion_jax.datasets.imdb_posters.reader import open_dataset
from posterfusion_jax.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parents[2]
MISSING = [name for name in ("tensorflow", "apache_beam", "mlcroissant") if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (the extra tfds)"),
    # tensorflow-datasets 4.9.10 asks protobuf 6, which Beam needs, for a deprecated attribute.
    pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning"),
]


def tfds_build(posters_dir: pathlib.Path, data_dir: pathlib.Path, *flags: str) -> None:
    command = [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build"]
    command += [
        "posterfusion_jax/datasets/imdb_posters",
        f"--manual_dir={posters_dir}",
        f"--data_dir={data_dir}",
        *flags,
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_array_record_is_the_dataset_of_our_own_builder(tmp_path):
    posters_dir = make_folder(tmp_path / "posters")
    tfds_build(posters_dir, tmp_path / "data", "--file_format=array_record", "--config=by_film")
    theirs = tmp_path / "data" / "imdb_posters" / "by_film" / VERSION
    ours = build_dataset(posters_dir, tmp_path / "ours", progress=False).dir
    for path in ours.iterdir():
        if path.name != "dataset_info.json":  # it names the module of the builder
            assert path.read_bytes() == (theirs / path.name).read_bytes(), path.name
    assert build_dataset(posters_dir, tmp_path / "data", progress=False).reason is None


def test_tfrecord_of_all_configs(tmp_path):
    tfds_build(make_folder(tmp_path / "posters"), tmp_path / "data")
    for config in ("by_film", "by_poster"):
        folder = tmp_path / "data" / "imdb_posters" / config / VERSION
        assert any(folder.glob("*.tfrecord-*"))
        with pytest.raises(InputError, match="cannot be read at random"):
            open_dataset(folder)
    script = f"""
import tensorflow_datasets as tfds
builder = tfds.builder_from_directory({str(folder)!r})
print(sum(1 for example in builder.as_dataset(split="train") if example["image"].shape == (30, 20, 3)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.stdout == "64\n", done.stderr


def test_a_config_of_ones_own_as_json(tmp_path):
    posters_dir = make_folder(tmp_path / "posters")
    config = '{"name": "seed1", "split_by": "poster", "split_seed": 1, "split_fractions": [0.5, 0.25, 0.25]}'
    tfds_build(posters_dir, tmp_path / "data", "--file_format=array_record", f"--config={config}")
    dataset = open_dataset(tmp_path / "data" / "imdb_posters" / "seed1" / VERSION)
    assert [len(rows) for rows in dataset.splits.values()] == [40, 20, 20]
    assert dataset.report["split"]["seed"] == 1
