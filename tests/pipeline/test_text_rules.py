"""One config, one text: the dataset's and prediction's; and how many texts the encoder cut is said wherever it is known."""

import json

import imdb_folder
import numpy as np
import pytest
from tiny_runs import read_with

from posterfusion_jax.config import defaults
from posterfusion_jax.evaluation.results import read_results, read_scores
from posterfusion_jax.ocr.engines.base import OcrResult
from posterfusion_jax.ocr.text.line_filters import NO_RULES, LineFilters
from posterfusion_jax.pipeline import predict as prediction
from posterfusion_jax.pipeline.assemble import assemble
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.pipeline.evaluate import evaluate
from posterfusion_jax.pipeline.features import extract_features, load_run_towers
from posterfusion_jax.pipeline.predict import predict
from posterfusion_jax.pipeline.train import train_model
from posterfusion_jax.posters.decode import decode_poster

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
            records[record["sha256"]] = OcrResult(
                lines=tuple(record["lines"]),
                confidences=tuple(record["confidences"]),
                boxes=tuple(map(tuple, record["boxes"])),
            )
        rows = [row for split in dataset.splits.values() for row in split]
        self.readings = {decode_poster(row["image"]).tobytes(): records[row["image_sha256"]] for row in rows}

    def read(self, image):
        return self.readings[image.tobytes()]


@pytest.fixture(scope="module")
def start(tmp_path_factory, posters, clip_folder, tiny_run):
    """A function that makes runs on one dataset and one folder of features."""
    root = tmp_path_factory.mktemp("rules")
    places = {"data__dataset_dir": str(root / "dataset"), "features__dir": str(root / "features"), "ocr__engine": "none"}
    few = {"train__max_epochs": 1, "encoders__max_text_tokens": 7, "evaluate__splits": ("test",)}

    def start(name, **changes):
        controls = ("text_without_title",)
        return tiny_run(root / name, posters, clip_folder, **{**RULES, **places, **few}, evaluate__controls=controls, **changes)

    return start


@pytest.fixture(scope="module")
def trained(start):
    run = start("trained")
    for stage in (build, extract_features, train_model, evaluate):
        stage(run)
    return run


def test_dataset_and_prediction_give_one_text(trained, posters, monkeypatch):
    dataset = open_run_dataset(trained)
    columns = dataset.columns("test")
    assert columns["text"] == [f"FILM {int(film_id[2:])}" for film_id in columns["film_id"]]
    assert dataset.report["text"]["rules_changed"] == sum(part["posters"] for part in dataset.report["splits"].values())
    monkeypatch.setattr(prediction, "read_files", read_with(RecordedEngine(posters, dataset)))
    files = [str(posters / "images" / f"{poster_id}.jpg") for poster_id in columns["poster_id"]]
    predicted = list(predict(trained, files))
    assert [found.text for found in predicted] == columns["text"]
    scores = read_scores(trained.paths.results, "test")["scores"]
    np.testing.assert_allclose([list(found.scores.values()) for found in predicted], scores, atol=1e-5)


def test_cut_texts_are_noted_once_and_told_in_every_stage(trained, capsys):
    dataset = open_run_dataset(trained)
    extract_features(trained)
    texts = [text for split in dataset.splits for text in dataset.columns(split)["text"]]
    _, tower = load_run_towers(trained, None)
    cut = int(tower.tokenize(texts).truncated.sum())
    assert 0 < cut < len(texts)
    printed = capsys.readouterr().out
    assert f"encoders.max_text_tokens=7 cuts {cut} of the {len(texts)} texts ({cut / len(texts):.1%})" in printed

    found = read_results(trained.paths.results, "test")["cut_texts"]
    of_test = dataset.columns("test")["text"]
    cut_of_test = int(tower.tokenize(of_test).truncated.sum())
    assert found == {"texts": len(of_test), "cut": cut_of_test, "share": cut_of_test / len(of_test)}

    (trained.paths.features / "cut_texts.json").rename(trained.paths.features / "kept")  # features of before it was noted
    (trained.paths.results / "test.json").unlink()
    evaluate(trained)
    assert "--mode=features records it" in capsys.readouterr().out
    assert read_results(trained.paths.results, "test")["cut_texts"] is None
    extract_features(trained)
    noted, kept = (json.loads((trained.paths.features / name).read_text()) for name in ("cut_texts.json", "kept"))
    assert noted == kept


@pytest.mark.parametrize("control", ["own", "without_title"])
def test_live_and_cached_runs_cut_the_same_texts(trained, start, control):
    dataset = open_run_dataset(trained)
    cached, live = (start(name, data__text_control=control, **more) for name, more in (("cached", {}), ("live", LIVE)))
    found = [assemble(run, dataset, None).truncation("train") for run in (cached, live)]
    assert found[0] == found[1]
    # without the words "Film" and its number nothing is left to be cut
    assert found[0] is not None
    assert (found[0]["cut"] > 0, found[0]["texts"] > 0) == ((True, True) if control == "own" else (False, False))


def test_the_defaults_are_no_rules():
    assert LineFilters(**defaults.get_config().data.text_rules) == NO_RULES
    assert NO_RULES.active == ()
