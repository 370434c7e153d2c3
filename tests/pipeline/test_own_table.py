"""A run on a table of the user's own: from the flags to predictions, started a second time, and evaluated alone."""

import csv
import json
import os
import pathlib
import subprocess
import sys

import pytest
from tables import draw_pictures, write_csv

from posterfusion_jax.checkpoints.meta import read_latest_meta

ROOT = pathlib.Path(__file__).parent.parent.parent
SUBJECTS = ("Cooking", "Poetry", "Self-Help", "Travel")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """Sixty covers with one to two of four subjects, some pictures missing, some labels misspelt or rare."""
    folder = tmp_path_factory.mktemp("own")
    names = [f"97801{k:08d}" for k in range(60)]
    draw_pictures(folder / "covers", names[:58])
    rows = [
        [
            name,
            f"Book {k}",
            "; ".join({SUBJECTS[k % 4], SUBJECTS[k % 3]} | ({"travel"} if k == 7 else set()) | ({"Odd"} if k == 9 else set())),
        ]
        for k, name in enumerate(names)
    ]
    write_csv(folder / "labels.csv", ["isbn", "title", "subjects"], rows)
    return folder


def call(folder: pathlib.Path, clip: pathlib.Path, *flags: str) -> subprocess.CompletedProcess:
    tiny = (
        *("model.dim=16", "model.heads=2", "model.smsam_layers=1", "train.batch_size=8", "train.max_epochs=2"),
        *("evaluate.bootstrap=100", "evaluate.controls=()", "ocr.engine=none"),
        *(f"encoders.image={clip}", f"encoders.text={clip}"),
    )
    config = [] if "--mode=evaluate" in flags or "--mode=predict" in flags else [f"--config.{field}" for field in tiny]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    arguments = [sys.executable, "-m", "posterfusion_jax.main", *flags, *config]
    return subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def finished(folder, clip_folder) -> subprocess.CompletedProcess:
    return call(folder, clip_folder, "--table=labels.csv", "--images=covers")


def test_two_flags_run_every_stage(folder, finished):
    assert finished.returncode == 0, finished.stderr
    out = " ".join(finished.stdout.split())
    for stated in (
        "dataset: runs/labels/dataset/posters/by_group/1.1.0",
        "labels: column 'subjects', separated by ';'",
        "pictures: 'isbn' names 58 of the first 60",
        "60 rows, 58 with a picture, 2 without; 58 posters",
        "1 label on fewer than 3 posters not used (data.label_min_posters): Odd 1",
        "left out, no picture: 2",
        "labels.csv:60: there is no picture of '9780100000058'",
    ):
        assert stated in out, finished.stdout
    results = json.loads((folder / "runs/labels/results/test.json").read_text())
    assert tuple(results["metrics"]["per_genre"]) == SUBJECTS


def test_the_config_keeps_what_was_detected_and_a_second_start_finds_everything(folder, clip_folder, finished):
    meta = read_latest_meta(folder / "runs/labels/checkpoints")
    data = meta["config"]["data"]
    assert (data["source"], data["split_by"], data["labels"]) == ("table", "group", [])
    columns = {name: value for name, value in data["table_columns"].items() if value not in ("", "none")}
    assert columns == {"id": "isbn", "title": "title", "labels": "subjects", "separator": ";", "delimiter": ","}
    assert meta["genres"] == list(SUBJECTS)
    again = call(folder, clip_folder, "--table=labels.csv", "--images=covers")
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("everything up to date"), again.stdout
    changed = call(folder, clip_folder, "--table=labels.csv", "--images=covers", "--config.data.labels=Cooking,Poetry")
    assert changed.returncode == 2
    assert "data.labels: [] there" in changed.stderr


def test_evaluation_and_prediction_need_the_run_alone(folder, clip_folder, finished, tmp_path):
    (folder / "runs/labels/results/test.json").unlink()
    evaluated = call(folder, clip_folder, "--mode=evaluate", "--workdir=runs/labels")
    assert evaluated.returncode == 0, evaluated.stderr
    cover = sorted((folder / "covers").iterdir())[0]
    predicted = call(folder, clip_folder, "--mode=predict", "--workdir=runs/labels", "--json", str(cover))
    assert predicted.returncode == 0, predicted.stderr
    assert set(json.loads(predicted.stdout)["scores"]) == set(SUBJECTS)
    with (folder / "runs/labels/results/predictions_test.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == json.loads((folder / "runs/labels/results/test.json").read_text())["dataset"]["posters"]["test"]
    assert rows[0]["title"].startswith("Book ")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--table=labels.csv"], "data.images is empty"),
        (["--table=label.csv", "--images=covers"], "label.csv' does not exist. That folder has 'labels.csv'"),
        (["--table=labels.csv", "--images=cover"], "cover' is no folder"),
        (["--images=covers"], "covers' is of no known kind: it holds '9780100000000.jpg'"),
        (["--table=labels.csv", "--images=covers", "--mode=evaluate", "--workdir=x"], "a trained run knows its data"),
        (
            ["--table=labels.csv", "--images=covers", "--config.data.table_columns.labels=genre"],
            "has no such column. It has isbn",
        ),
    ],
)
def test_wrong_flags_are_one_message(folder, clip_folder, flags, message):
    result = (
        call(folder, clip_folder, *flags, "--workdir=nothing")
        if "--workdir=x" not in flags
        else call(folder, clip_folder, *flags)
    )
    assert result.returncode == 2, result.stdout
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (folder / "nothing").exists()
