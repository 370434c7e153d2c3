"""One config, one text: the dataset's and prediction's; and how many texts the encoder cut is said wherever it is known."""

import json

import imdb_folder
import numpy as np
import pytest

from configs import base
from posterfusion_jax.evaluate import read_results, read_scores
from posterfusion_jax.images import decode_poster
from posterfusion_jax.ocr.engines import Reading
from posterfusion_jax.ocr.rules import NO_RULES, TextRules
from posterfusion_jax.stages import prediction
from posterfusion_jax.stages.encoding import extract_features
from posterfusion_jax.stages.evaluation import evaluate
from posterfusion_jax.stages.posters import build, open_run_dataset
from posterfusion_jax.stages.prediction import predict
from posterfusion_jax.stages.reporting import report
from posterfusion_jax.stages.training import train_model

STAGES = (build, extract_features, train_model, evaluate)
RULES = {
    "data__text_rules__order": "boxes",
    "data__text_rules__min_confidence": 0.6,
    "data__text_rules__credits_max_height": 0.025,
    "data__text_rules__credits_min_lines": 2,
}
LIVE = {"train__fine_tune": "last_n", "train__fine_tune_layers": 1}


@pytest.fixture(scope="module")
def posters(tmp_path_factory):
    """Posters with the title's words from right to left, a doubtful line, and a credit block of two lines."""
    folder = imdb_folder.make_folder(tmp_path_factory.mktemp("ruled"), read_every=1)
    records = [json.loads(line) for line in (folder / "ocr.jsonl").read_text().splitlines()]
    for record in records:
        film, number = record["lines"]
        record["lines"] = [number, film, "D0UBTFVL", "DIRECTED BY", "PRODUCED BY"]
        record["text"] = "\n".join(record["lines"])
        record["confidences"] = [0.99, 0.98, 0.55, 0.9, 0.9]
        record["boxes"] = [[0.6, 0.3, 0.9, 0.5], [0.1, 0.31, 0.4, 0.5], [0, 0.6, 1, 0.7], [0, 0.9, 1, 0.92], [0, 0.92, 1, 0.94]]
    (folder / "ocr.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


class RecordedEngine:
    """Reads from each image the lines, confidences and boxes of its record."""

    name, version, model_version = "rapidocr", "0", None

    def __init__(self, folder, dataset):
        records = {}
        for line in (folder / "ocr.jsonl").read_text().splitlines():
            record = json.loads(line)
            records[record["sha256"]] = Reading(
                lines=tuple(record["lines"]),
                confidences=tuple(record["confidences"]),
                boxes=tuple(map(tuple, record["boxes"])),
            )
        rows = [row for split in dataset.splits.values() for row in split]
        self.readings = {decode_poster(row["image"]).tobytes(): records[row["image_sha256"]] for row in rows}

    def read(self, image):
        return self.readings[image.tobytes()]


@pytest.mark.parametrize("live", [{}, LIVE], ids=["cached", "live"])
def test_dataset_and_prediction_give_one_text(live, posters, tmp_path, clip_folder, tiny_run, monkeypatch):
    changes = {**RULES, **live, "train__max_epochs": 1, "encoders__max_text_tokens": 5, "evaluate__splits": ("test",)}
    run = tiny_run(tmp_path, posters, clip_folder, **changes)
    for stage in STAGES:
        stage(run)
    dataset = open_run_dataset(run)
    columns = dataset.columns("test")
    assert columns["text"] == [f"FILM {int(film_id[2:])}" for film_id in columns["film_id"]]
    assert dataset.report["text"]["rules_changed"] == sum(part["posters"] for part in dataset.report["splits"].values())

    monkeypatch.setattr(prediction, "make_engine", lambda *_, **__: RecordedEngine(posters, dataset))
    files = [str(posters / "images" / f"{poster_id}.jpg") for poster_id in columns["poster_id"]]
    predicted = list(predict(run, files))
    assert [found.text for found in predicted] == columns["text"]
    scores = read_scores(run.paths.results, "test")["scores"]
    np.testing.assert_allclose([list(found.scores.values()) for found in predicted], scores, atol=1e-5)

    cut = read_results(run.paths.results, "test")["cut_texts"]
    assert cut["texts"] == len(columns["text"])
    assert cut["share"] == cut["cut"] / cut["texts"]
    assert cut["cut"] > 0
    report(run)
    page = (run.paths.report / "report.html").read_text()
    assert f"cuts {cut['cut']:,} of the {cut['texts']:,} texts" in page
    assert "Rules on the lines that were read: credits, confidence, order." in page


def test_cut_texts_are_noted_once_and_told_in_every_stage(posters, tmp_path, clip_folder, tiny_run, capsys):
    few = {"train__max_epochs": 1, "encoders__max_text_tokens": 8, "evaluate__controls": ("text_without_title",)}
    run = tiny_run(tmp_path, posters, clip_folder, evaluate__splits=("test",), **few)
    for stage in STAGES[:3]:
        stage(run)
    texts = sum(part["posters"] for part in open_run_dataset(run).report["splits"].values())
    for _ in range(2):
        told = capsys.readouterr().out
        assert f"encoders.max_text_tokens=8 cuts {texts} of the {texts} texts (100.0%)" in told
        assert f"encoders.max_text_tokens=8 cuts {texts} of the {texts} texts without titles (100.0%)" in told
        extract_features(run)
    (run.paths.features / "cut_texts.json").unlink()  # features of before it was noted
    evaluate(run)
    assert "--mode=features notes it" in capsys.readouterr().out
    assert read_results(run.paths.results, "test")["cut_texts"] is None
    report(run)
    assert "How many the text encoder cut was not noted." in (run.paths.report / "report.html").read_text()
    extract_features(run)
    assert len(json.loads((run.paths.features / "cut_texts.json").read_text())) == texts


def test_the_defaults_are_no_rules():
    assert TextRules(**base.get_config().data.text_rules) == NO_RULES
    assert NO_RULES.active == ()
