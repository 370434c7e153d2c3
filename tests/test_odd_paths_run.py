"""Whole tiny runs by the command line in folders whose names have almost every sign that a library may trip over."""

import json
import os
import pathlib
import subprocess
import sys

import imdb_folder
import odd_names
import pytest
import tiny_checkpoints

ROOT = pathlib.Path(__file__).parent.parent
CONFIG = """

from configs import base

def get_config(model="addition"):
    config = base.get_config()
    config.data.posters_dir = "$POSTERS"
    config.ocr.engine = "none"
    config.encoders.image = config.encoders.text = "$POSTERS/../clip"
    config.model.name = model
    config.model.dim, config.model.heads, config.model.ffn = 16, 2, (16, 8)
    config.train.max_epochs, config.train.batch_size = 2, 8
    config.evaluate.bootstrap = 100
    return config
"""


def call(folder, *flags, **environment):
    """The command in `folder`, with its standard error in a file."""
    with (folder / "stderr").open("w+b") as stderr:
        done = subprocess.run(
            [sys.executable, "-m", "posterfusion_jax.main", *map(str, flags)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", **environment},
            stdout=subprocess.PIPE,
            stderr=stderr,
            timeout=500,
        )
        stderr.seek(0)
        errors = stderr.read()
    (folder / "stderr").unlink()
    assert b"\r" not in errors, errors
    assert b"Traceback" not in errors, errors.decode(errors="backslashreplace")
    return done.returncode, done.stdout, errors


@pytest.mark.slow
def make_place(folder, name):
    """Posters, an encoder and a config file below a folder of this name."""
    place = folder / name
    imdb_folder.make_folder(place / "posters", films=30)
    tiny_checkpoints.write_clip(place / "clip")
    (place / "tiny:1.py").write_text(CONFIG)
    (folder / "home").mkdir(exist_ok=True)
    home = {"HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "home" / "cache")}
    return place, {"POSTERS": str(place / "posters"), "JAX_COMPILATION_CACHE_DIR": str(place / "programs"), **home}


@pytest.mark.slow
def test_a_whole_run_and_then_elsewhere(tmp_path):
    place, environment = make_place(tmp_path, odd_names.COMBINED)
    name = f"run {odd_names.COMBINED}"
    flags = [f"--config={place}/tiny:1.py:gmu", f"--workdir={place}/{name.replace('$', '$$')}"]
    status, printed, errors = call(tmp_path, *flags, **environment)
    assert status == 0, errors
    assert b"macro F1" in printed
    assert b"train: 100%" in errors
    assert b"features: 100%" in errors
    assert {path.name for path in tmp_path.iterdir()} == {place.name, "home"}  # nothing went to a name that was cut or mangled
    assert {path.name for path in place.iterdir()} >= {name, "posters", "clip", "programs"}
    wanted = {"checkpoints", "dataset", "features", "logs", "results", "report"}
    assert wanted <= {path.name for path in (place / name).iterdir()}

    # -- the workdir is moved, and reached by a link
    moved = tmp_path / f"moved {odd_names.COMBINED}"
    (place / name).rename(moved)
    (tmp_path / "link").symlink_to(moved)
    status, _, errors = call(tmp_path, "--mode=evaluate", "--workdir=~/../link", **environment)
    assert status == 0, errors
    imdb_folder.write_poster(tmp_path / "-dash [1].jpg", 3)
    names = ["-dash [1].jpg", "nothere.jpg", place / "posters" / "images"]
    status, printed, errors = call(tmp_path, "--mode=predict", "--workdir=link", "--json", "--", *names, **environment)
    answers = [json.loads(line) for line in printed.splitlines()]
    posters = len(list((place / "posters" / "images").iterdir()))
    assert status == 0, errors
    assert [answer["file"] for answer in answers[:2]] == ["-dash [1].jpg", "nothere.jpg"]
    assert ["error" in answer for answer in answers] == [False, True, *[False] * posters]
    assert f"{posters + 1} predicted, 1 failed".encode() in errors


@pytest.mark.slow
@pytest.mark.parametrize("name", odd_names.NAMES, ids=ascii)
def test_a_whole_run_of_each_name(name, tmp_path):
    place, environment = make_place(tmp_path, name)
    status, _, errors = call(tmp_path, f"--config={place}/tiny:1.py", f"--workdir={place}/{name}", **environment)
    assert status == 0, errors
    poster = next((place / "posters" / "images").iterdir())
    status, _, errors = call(tmp_path, "--mode=predict", f"--workdir={place}/{name}", "--", poster, **environment)
    assert status == 0, errors


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--workdir=gs://bucket/x"], ["--workdir", "is a URL", "Mount it"]),
        (["--workdir=gs:/bucket/x"], ["--workdir", "is a URL"]),
        (["--workdir=$NOWHERE/x"], ["--workdir", "'NOWHERE'"]),
        (["--workdir=~no-such-user/x"], ["--workdir", "'no-such-user'"]),
        (["--workdir=x", "--config.features.dir=s3://bucket/x"], ["features.dir", "is a URL"]),
        (["--workdir=x", "--config.ocr.store=${NOWHERE}/x"], ["ocr.store", "'NOWHERE'"]),
        (["--workdir=x", "--config.encoders.image=hf://openai/clip"], ["encoders.image", "owner/model"]),
        ([f"--workdir={'n' * 256}"], ["--workdir", "256 bytes"]),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_made(tmp_path, flags, words):
    (tmp_path / "cfg.py").write_text(CONFIG)
    (tmp_path / "home").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    place = {"HOME": str(tmp_path / "home"), "POSTERS": str(tmp_path)}
    status, _, errors = call(tmp_path, "--config=cfg.py", *flags, **place, PYTHONDONTWRITEBYTECODE="1")
    assert status == 2
    assert all(word in errors.decode() for word in words), errors
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_the_home_folder_is_one_place(tmp_path):
    """A workdir `~/runs/x`, which no shell expands behind the `=`, has all of its parts in one folder."""
    place, environment = make_place(tmp_path, "home")
    environment = {**environment, "HOME": str(place), "POSTERS": str(place / "posters")}
    status, _, errors = call(
        tmp_path, "--config=~/tiny:1.py", "--mode=build", "--workdir=~/runs/x", "--config.data.dataset_dir=", **environment
    )
    assert status == 0, errors
    assert {path.name for path in tmp_path.iterdir()} == {"home"}
    assert {path.name for path in (place / "runs" / "x").iterdir()} == {"dataset", "lock"}
