"""Runs on datasets of 2 and 24 labels, from features to predictions: number and names come from the dataset."""

import json

import jax
import numpy as np
import pytest
from PIL import Image
from tiny_runs import read_with

from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset, Rows
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.results import read_results, read_scores
from posterfusion_jax.genres import PAPER_GENRES
from posterfusion_jax.models.registry import make_head
from posterfusion_jax.ocr.engines.base import NoEngine
from posterfusion_jax.pipeline import predict as prediction
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.classifier import feature_classifier
from posterfusion_jax.pipeline.evaluate import evaluate
from posterfusion_jax.pipeline.features import extract_features
from posterfusion_jax.pipeline.multi_seed import run_seeds
from posterfusion_jax.pipeline.ocr import read_words
from posterfusion_jax.pipeline.predict import load
from posterfusion_jax.pipeline.report import report
from posterfusion_jax.pipeline.train import train_model

COLUMNS = {2: [6, 4], 24: [*range(13), *range(10), -1]}  # of the thirteen; -1: a label that no poster has
NAMES = {2: ("drama", "light"), 24: tuple(f"label number {k}, which has a long name" for k in range(24))}
ZERO_SHOT = {
    "model__name": "zero_shot",
    "model__zero_shot_prompts": ("a {genre}",),
    "model__zero_shot_neutral": ("a poster",),
}


def use_labels(monkeypatch, labels):
    """Every dataset that is opened has these labels, made of the thirteen."""
    parsed = Rows._parsed

    def with_labels(data):
        row = parsed(data)
        padded = np.append(row["labels"], np.uint8(0))
        return {**row, "labels": padded[COLUMNS[labels]]}

    monkeypatch.setattr(Rows, "_parsed", staticmethod(with_labels))
    monkeypatch.setattr(PosterDataset, "genres", property(lambda self: NAMES[labels]))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, posters_dir, clip_folder, tiny_run):
    """Folders of a dataset and its features, which all runs share."""
    run = tiny_run(tmp_path_factory.mktemp("prepared"), posters_dir, clip_folder)
    for stage in (read_words, build, extract_features):
        stage(run)
    return {"data__dataset_dir": str(run.paths.dataset), "features__dir": str(run.paths.features)}


@pytest.fixture(scope="module", params=sorted(COLUMNS))
def trained(request, tmp_path_factory, prepared, posters_dir, clip_folder, tiny_run):
    workdir = tmp_path_factory.mktemp(f"labels_{request.param}")
    run = tiny_run(workdir, posters_dir, clip_folder, train__max_epochs=1, **prepared)
    with pytest.MonkeyPatch.context() as patch:
        use_labels(patch, request.param)
        for stage in (train_model, evaluate, report):
            stage(run)
    return request.param, run


def test_results_and_scores_have_the_labels_of_the_dataset(trained):
    labels, run = trained
    results, arrays = read_results(run.paths.results, "test"), read_scores(run.paths.results, "test")
    assert results["genres"] == list(results["metrics"]["per_genre"]) == arrays["genres"].tolist() == list(NAMES[labels])
    assert arrays["scores"].shape == arrays["labels"].shape == (len(arrays["poster_ids"]), labels)
    assert results["common_threshold"]["count"] > 0  # a validation split of a dozen posters
    assert len(results["thresholds"]["tuned_per_genre"]) == labels


def test_the_report_states_what_small_splits_lack(trained):
    labels, run = trained
    page = (run.paths.report / "report.md").read_text()
    card = (run.paths.report / "model_card.md").read_text()
    metrics = read_results(run.paths.results, "test")["metrics_tuned_per_genre"]
    line = f"macro F1 over the {metrics['labels_present']} of {labels} labels with positives: "
    for text in (page, card):
        assert (f"test, thresholds per genre: {line}{100 * metrics['f1_macro_present']:.2f}" in text) == (labels == 24)
        assert "take the common tuned threshold" in text
    assert f", {labels} genres, made with" in card
    assert "label number 23" not in card.partition("Weakest genres:")[2]  # no poster has it


def test_predictions_have_the_labels_of_the_checkpoint(trained, monkeypatch, tmp_path):
    labels, run = trained
    Image.new("RGB", (40, 60), "red").save(tmp_path / "poster.png")
    monkeypatch.setattr(prediction, "read_files", read_with(NoEngine()))
    (found,) = prediction.predict(run, [str(tmp_path)])
    assert tuple(found.scores) == tuple(found.probabilities) == NAMES[labels]
    model = load(run.paths.workdir)
    assert model.genres == NAMES[labels]
    assert set(model.thresholds) == {"fixed", "tuned", "tuned_per_genre"}
    assert model.predict(tmp_path / "poster.png", texts="")[0].scores == pytest.approx(found.scores)


def test_the_fixed_threshold_of_a_prediction_is_that_of_the_config(trained):
    _, run = trained
    assert load(run.paths.workdir, overrides={"evaluate.threshold": 0.7}).thresholds["fixed"] == 0.7


def test_another_dataset_is_refused(trained):
    _, run = trained
    for stage in (train_model, evaluate, report):
        with pytest.raises(InputError, match="have different genres: number 1 is 'action' of 13 and"):
            stage(run)


def test_zero_shot_makes_its_prompts_of_the_names_of_the_dataset(
    monkeypatch, tmp_path, prepared, posters_dir, clip_folder, tiny_run, capsys
):
    use_labels(monkeypatch, 2)
    run = tiny_run(tmp_path, posters_dir, clip_folder, **ZERO_SHOT, **prepared)
    train_model(run)
    assert "2 genres embedded as 'a {genre}'" in capsys.readouterr().out
    evaluate(run)
    assert read_results(run.paths.results, "test")["genres"] == list(NAMES[2])


def test_seeds_of_other_labels_train_together_unless_the_papers_are_needed(
    monkeypatch, tmp_path, prepared, posters_dir, clip_folder, tiny_run
):
    use_labels(monkeypatch, 24)
    monkeypatch.setattr("posterfusion_jax.pipeline.multi_seed.build", lambda run: None)
    config = tiny_run(tmp_path, posters_dir, clip_folder, train__max_epochs=1, **prepared).config
    with pytest.raises(InputError, match=r"the dataset .* has other genres than the paper: number 1 is 'label number 0"):
        run_seeds(config, tmp_path / "paper", [0, 1], split="test", paper_genres=True)
    assert not (tmp_path / "paper" / "seed0" / "checkpoints").exists()
    runs = run_seeds(config, tmp_path / "own", [0, 1], split="test")
    assert all(read_results(run.paths.results, "test")["genres"] == list(NAMES[24]) for run in runs)


def test_a_head_of_the_users_own_gets_the_number_of_labels(tmp_path, monkeypatch, posters_dir, clip_folder, tiny_run):
    (tmp_path / "own_heads.py").write_text(
        "import flax.linen as nn\n"
        "class Plain(nn.Module):\n"
        "    labels: int\n"
        "    @nn.compact\n"
        "    def __call__(self, inputs, train=False):\n"
        "        return nn.Dense(self.labels)(inputs.image)\n"
        "class Thirteen(nn.Module):\n"
        "    @classmethod\n"
        "    def from_config(cls, model, *, image_width, text_width):\n"
        "        return cls()\n"
        "    @nn.compact\n"
        "    def __call__(self, inputs, train=False):\n"
        "        return nn.Dense(13)(inputs.image)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    plain, thirteen = (
        tiny_run(tmp_path / name, posters_dir, clip_folder, model__name=f"own_heads:{name}") for name in ("Plain", "Thirteen")
    )
    assert make_head(plain.config.model, labels=24, image_width=4, text_width=4).labels == 24
    for run, labels in ((plain, 24), (thirteen, 13)):
        made = feature_classifier(run, labels=labels, image_width=4, text_width=4)
        params = jax.eval_shape(lambda made=made: made.init(jax.random.key(0)))
        assert params["head"]["Dense_0"]["bias"].shape == (labels,)
    with pytest.raises(InputError, match=r"returns logits of the shape \(1, 13\) for one poster and 24 labels"):
        feature_classifier(thirteen, labels=24, image_width=4, text_width=4)


def test_results_of_a_run_are_json_of_plain_values(trained):
    _, run = trained
    text = (run.paths.results / "test.json").read_text()
    assert json.loads(text)["metrics"]["absent"] == [
        name for name, entry in json.loads(text)["metrics"]["per_genre"].items() if not entry["support"]
    ]
    assert tuple(json.loads(text)["genres"]) != PAPER_GENRES
