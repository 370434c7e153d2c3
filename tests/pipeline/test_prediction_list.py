"""A list of names for prediction: what cannot be used is answered in its place, and the rest is predicted."""

import io
import os
import pathlib
import re
import sys
import types

import imdb_folder
import pytest

from posterfusion_jax import main as main_module
from posterfusion_jax.errors import InputError
from posterfusion_jax.pipeline import predict as prediction
from posterfusion_jax.pipeline.predict import predict
from posterfusion_jax.report.prediction import Prediction


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("good.jpg", "-dash.jpg", "~note.jpg", "a$b.jpg", "films/2.jpg", "films/sub [1]/1.JPG")):
        imdb_folder.write_poster(pathlib.Path(name), number) if not name.endswith("JPG") else None
    imdb_folder.write_poster(tmp_path / "x.jpg", 9)
    (tmp_path / "films" / "sub [1]").mkdir()
    (tmp_path / "x.jpg").rename(tmp_path / "films" / "sub [1]" / "1.JPG")
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").touch()
    return tmp_path


@pytest.fixture
def run(monkeypatch):
    """A run whose model says nothing, and lists the files that it was given."""
    given = []

    def answers(_, files, __):
        given.extend(map(str, files))
        return (Prediction(str(file), "", {}, {}, ["drama"]) for file in files)

    monkeypatch.setattr(prediction, "_predict", answers)
    config = types.SimpleNamespace(data=types.SimpleNamespace(text_control="own"))
    return types.SimpleNamespace(config=config, paths=types.SimpleNamespace(workdir="run"), given=given)


def answered(run, *names):
    return [(answer.file, answer.error) for answer in predict(run, list(names))]


def test_good_and_missing_names_in_their_order(here, run):
    found = answered(run, "good.jpg", "nothere.jpg", "films", "good.jpg", "no/such/folder")
    assert [file for file, _ in found] == [
        "good.jpg",
        "nothere.jpg",
        "films/2.jpg",
        "films/sub [1]/1.JPG",
        "good.jpg",
        "no/such/folder",
    ]
    assert [bool(error) for _, error in found] == [False, True, False, False, False, True]
    assert "no file or folder" in found[1][1]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothere.jpg", "no file or folder"),
        ("", "no file or folder"),
        ("empty", "holds no file with an image (no file at all)"),
        ("texts", "holds no file with an image (1 file skipped (1 .txt))"),
        ("gs://bucket/a.jpg", "is a URL"),
        ("$MISSING_VARIABLE/a.jpg", "'MISSING_VARIABLE'"),
        ("~no-such-user/a.jpg", "no-such-user"),
        ("n" * 300 + ".jpg", "304 bytes"),
        ("good.jpg/x", "no file or folder"),
    ],
)
def test_each_name_that_cannot_be_used_is_an_answer(here, run, name, words):
    found = answered(run, name, "good.jpg")
    assert found[1] == ("good.jpg", None)
    assert words in found[0][1]
    assert found[0][0] == name
    assert answered(run, name)[0][1] == found[0][1]  # alone: no model is loaded
    assert run.given == ["good.jpg"]


def test_odd_names_are_files_and_not_variables_or_flags(here, run):
    names = ["-dash.jpg", "~note.jpg", "./~note.jpg", "a$b.jpg", os.fsdecode(b"\xff.jpg")]
    imdb_folder.write_poster(pathlib.Path(names[-1]), 7)
    assert [error for _, error in answered(run, *names)] == [None] * 5


def test_folders_that_cannot_be_listed_are_answered_and_the_rest_is_read(here, run, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if pathlib.Path(path).name in ("sub [1]", "empty"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = answered(run, "films", "empty")
    assert found[0] == ("films/2.jpg", None)
    assert found[1] == ("films/sub [1]", "a folder that cannot be listed: Permission denied")
    assert found[2] == ("empty", "a folder that cannot be listed: Permission denied")


def test_no_name_at_all_is_refused(run):
    with pytest.raises(InputError, match="name at least one"):
        answered(run)


@pytest.mark.parametrize(
    ("names", "status", "counts"),
    [
        (["good.jpg", "nothere.jpg", "films"], 0, "3 predicted, 1 failed"),
        (["nothere.jpg", "empty"], 1, "0 predicted, 2 failed"),
        (["good.jpg", "good.jpg"], 0, "2 predicted, 0 failed"),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_counts_and_exit_status(here, run, monkeypatch, names, status, counts, as_json):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(main_module, "_JSON", types.SimpleNamespace(value=as_json))
    monkeypatch.setattr(main_module, "_THRESHOLD", types.SimpleNamespace(value="fixed"))
    monkeypatch.setattr("posterfusion_jax.report.prediction.as_text", lambda answer: answer.error or answer.file)
    assert main_module._predict(run, names) == status
    assert sys.stderr.getvalue().splitlines()[-1] == counts
    assert ('"error": "there is no file or folder' in sys.stdout.getvalue()) == (as_json and "nothere.jpg" in names)
    if as_json:
        assert len(sys.stdout.getvalue().splitlines()) == sum(map(int, re.findall(r"\d+", counts)))
