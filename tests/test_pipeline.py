"""The stages one after the other, as a user runs them: on cached features and with live encoders."""

import dataclasses
import json
import signal

import jax
import numpy as np
import pytest
from tiny_runs import read_with

from posterfusion_jax.checkpoints import manager as checkpoints_lib
from posterfusion_jax.checkpoints import meta
from posterfusion_jax.config import defaults
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.results import read_results, read_scores
from posterfusion_jax.genres import GENRES, decode_genres
from posterfusion_jax.metrics.calibration import calibration_report
from posterfusion_jax.metrics.multilabel import multilabel_report
from posterfusion_jax.ocr.engines.base import OcrResult
from posterfusion_jax.pipeline import predict as prediction
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.classifier import live_classifier, read_params
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.pipeline.evaluate import evaluate
from posterfusion_jax.pipeline.features import extract_features, load_run_towers
from posterfusion_jax.pipeline.multi_seed import results_of, run_seeds
from posterfusion_jax.pipeline.ocr import read_words
from posterfusion_jax.pipeline.predict import predict
from posterfusion_jax.pipeline.report import report
from posterfusion_jax.pipeline.train import train_model
from posterfusion_jax.pipeline.train_seeds import train_model_seeds
from posterfusion_jax.posters.decode import decode_poster
from posterfusion_jax.train import epoch_runner
from posterfusion_jax.train import multi_seed as seeds_lib

STAGES = (read_words, build, extract_features, train_model, evaluate, report)


def run_all(run):
    for stage in STAGES:
        stage(run)


@pytest.fixture(scope="module")
def cached(tmp_path_factory, posters_dir, clip_folder, bert_folder, tiny_run):
    run = tiny_run(tmp_path_factory.mktemp("cached"), posters_dir, clip_folder, bert_folder)
    run_all(run)
    return run


@pytest.fixture(scope="module")
def tokens(tmp_path_factory, posters_dir, clip_folder, bert_folder, tiny_run):
    changes = {"features__level": "tokens", "features__image_grid": 2, "features__dtype": "float16", "train__max_epochs": 1}
    run = tiny_run(tmp_path_factory.mktemp("tokens"), posters_dir, clip_folder, bert_folder, **changes)
    run_all(run)
    return run


@pytest.fixture(scope="module")
def live(tmp_path_factory, posters_dir, clip_folder, tiny_run):
    changes = {"train__fine_tune": "last_n", "train__fine_tune_layers": 1, "train__max_epochs": 2}
    run = tiny_run(tmp_path_factory.mktemp("live"), posters_dir, clip_folder, **changes)
    run_all(run)
    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cached", "live"])
def test_results_say_what_they_are_results_of(name, request):
    run = request.getfixturevalue(name)
    results, scores = read_results(run.paths.results, "test"), read_scores(run.paths.results, "test")
    assert results["metrics"] == json.loads(json.dumps(multilabel_report(scores["scores"], scores["labels"])))
    assert results["metrics"]["num_posters"] == results["dataset"]["posters"]["test"] == len(scores["poster_ids"])
    assert results["dataset"]["leak_share"] == 0.0
    assert set(results["encoders"]) == {"image", "text"}
    assert results["config"]["train"]["batch_size"] == 8
    low, high = results["intervals"]["metrics"]["f1_macro"]
    assert 0 <= low <= high <= 1
    assert high > 0
    assert {name for name in scores if name.startswith("control_")} == {f"control_{name}" for name in results["controls"]}
    for control, reports in results["controls"].items():
        changed = multilabel_report(scores[f"control_{control}"], scores["labels"])
        assert reports["metrics"] == {name: changed[name] for name in reports["metrics"]}
    for control in ("text_empty", "image_mean"):
        changed = results["controls"][control]["metrics"]
        assert changed["num_posters"] == results["metrics"]["num_posters"]
        assert changed["mean_average_precision"] != results["metrics"]["mean_average_precision"]
    assert set(results["calibration"]) == {"raw", "fitted", "closed_form"}
    assert results["calibration"]["raw"]["ece"] == results["metrics"]["ece"]
    tuned = read_results(run.paths.results, "validation")
    assert tuned["calibration"]["fitted"]["brier"] < tuned["calibration"]["raw"]["brier"]
    assert tuned["metrics_tuned"]["f1_macro"] >= tuned["metrics"]["f1_macro"]
    assert tuned["metrics_tuned_per_genre"]["f1_macro"] >= tuned["metrics_tuned"]["f1_macro"]
    for chart in ("training", "per_genre", "reliability", "dataset", "co_occurrence"):
        assert (run.paths.report / f"{chart}.png").read_bytes()[:4] == b"\x89PNG"
        assert (run.paths.report / f"{chart}.svg").is_file()
    page = (run.paths.report / "report.html").read_text()
    for section in ("Scores", "Calibration", "Sample of posters", "Dataset"):
        assert f"<h2>{section}</h2>" in page, section
    card = (run.paths.report / "model_card.md").read_text()
    assert results["metrics"]["absent"]  # in a test split of a few posters
    assert f"{100 * results['metrics']['f1_macro_present']:.2f} \\[" in card
    markdown = (run.paths.report / "report.md").read_text()
    assert "| action |" in markdown
    for text in (page, card, markdown):
        assert "abels outside the 13 genres: " in text
        assert "not recorded" not in text


@pytest.mark.parametrize("name", ["cached", "live"])
def test_second_call_finds_everything_done(name, request, capsys):
    run = request.getfixturevalue(name)
    before = {path: path.stat().st_mtime_ns for path in run.paths.workdir.rglob("*") if path.is_file()}
    run_all(run)
    out = capsys.readouterr().out
    assert "training: up to date, finished after" in out
    assert "evaluation: test is up to date" in out
    assert "(up to date)" in out
    after = {path: path.stat().st_mtime_ns for path in run.paths.workdir.rglob("*") if path.is_file()}
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert {path.parent for path in changed} <= {run.paths.report, run.paths.report / "posters"}


class RecordedWords:
    """An OCR engine that reads from each image what its record says."""

    name, version, model_version = "rapidocr", "0", None

    def __init__(self, run):
        dataset = open_run_dataset(run)
        self.text_of = {}
        for i, text in enumerate(dataset.columns("test")["text"]):
            self.text_of[decode_poster(dataset.row("test", i)["image"]).tobytes()] = text

    def read(self, image):
        return OcrResult(lines=(self.text_of[image.tobytes()],))


@pytest.mark.parametrize("name", ["cached", "live", pytest.param("tokens", marks=pytest.mark.slow)])
def test_prediction_of_a_file_equals_evaluation_of_the_poster(name, request, monkeypatch):
    run = request.getfixturevalue(name)
    monkeypatch.setattr(prediction, "read_files", read_with(RecordedWords(run)))
    evaluated = read_scores(run.paths.results, "test")
    files = [str(run.paths.posters / "images" / f"{poster_id}.jpg") for poster_id in evaluated["poster_ids"]]
    predicted = list(predict(run, files))
    assert [p.file for p in predicted] == files
    assert all(p.text.startswith("FILM ") for p in predicted)
    np.testing.assert_allclose([list(p.scores.values()) for p in predicted], evaluated["scores"], atol=1e-5)
    fitted = calibration_report({"fitted": [list(p.probabilities.values()) for p in predicted]}, evaluated["labels"])["fitted"]
    expected = read_results(run.paths.results, "test")["calibration"]["fitted"]
    assert fitted["brier"] == pytest.approx(expected["brier"], abs=1e-4)


def test_a_run_on_changed_texts_does_not_predict(tmp_path, posters_dir, clip_folder, tiny_run):
    run = tiny_run(tmp_path, posters_dir, clip_folder, data__text_control="shuffled")
    with pytest.raises(InputError, match=r"data.text_control='shuffled'"):
        list(predict(run, ["poster.jpg"]))


def test_thresholds_are_those_of_the_checkpoint(cached, monkeypatch):
    monkeypatch.setattr(prediction, "read_files", read_with(RecordedWords(cached)))
    results = read_results(cached.paths.results, "test")
    scores = read_scores(cached.paths.results, "test")
    file = str(cached.paths.posters / "images" / f"{scores['poster_ids'][0]}.jpg")
    for rule in ("fixed", "tuned", "tuned_per_genre"):
        expected = decode_genres(scores["scores"][0] > np.asarray(results["thresholds"][rule]))
        assert next(predict(cached, [file], threshold=rule)).genres == list(expected)


def test_predict_passes_over_what_it_cannot_read(cached, tmp_path):
    good = next((cached.paths.posters / "images").glob("*.jpg"))
    (tmp_path / "a.jpg").write_bytes(good.read_bytes())
    (tmp_path / "b.jpg").write_bytes(good.read_bytes()[:200])
    (tmp_path / "c.png").write_text("not an image")
    predictions = list(predict(cached, [str(tmp_path)]))
    assert [bool(p.error) for p in predictions] == [False, True, True]
    assert set(predictions[0].scores) == set(GENRES)
    (absent,) = predict(cached, [str(tmp_path / "absent.jpg")])
    assert "no file or folder" in absent.error
    with pytest.raises(InputError, match="name at least one poster"):
        list(predict(cached, []))
    (tmp_path / "empty").mkdir()
    (empty,) = predict(cached, [str(tmp_path / "empty")])
    assert "holds no file" in empty.error


def test_only_the_last_layers_and_the_head_have_changed(live):
    towers = load_run_towers(live, None)
    classifier = live_classifier(live, *towers, labels=13)
    checkpoints = checkpoints_lib.Checkpoints(live.paths.checkpoints)
    params = read_params(checkpoints, checkpoints.best, classifier)
    checkpoints.close()
    groups = classifier.groups(params)
    for name, tower in zip(("image", "text"), towers, strict=True):
        changed = jax.tree.map(lambda a, b: bool((np.asarray(a) != np.asarray(b)).any()), params[name], tower.params)
        for moved, group in zip(jax.tree.leaves(changed), jax.tree.leaves(groups[name]), strict=True):
            assert not (moved and group == "frozen")
        assert any(jax.tree.leaves(changed))


def test_other_config_in_the_same_workdir_is_refused(cached, posters_dir, clip_folder, bert_folder, tiny_run):
    other = tiny_run(cached.paths.workdir, posters_dir, clip_folder, bert_folder, model__smsam_layers=2, seed=1)
    with pytest.raises(InputError, match=r"another config:\n  model.smsam_layers: 1 there, 2 now\n  seed: 0 there, 1 now"):
        train_model(other)


@pytest.mark.parametrize("how", ["killed", "asked"])
def test_training_that_stopped_ends_in_the_same_checkpoints(
    cached, posters_dir, clip_folder, bert_folder, tiny_run, tmp_path, monkeypatch, capsys, how
):
    def run(name, **changes):
        shared = {"data__dataset_dir": str(cached.paths.dataset), "features__dir": str(cached.paths.features), **changes}
        return tiny_run(tmp_path / name, posters_dir, clip_folder, bert_folder, train__max_epochs=4, **shared)

    class Stopped(epoch_runner.OnDeviceEpochRunner):
        def __call__(self, state, epoch):
            def stop(steps):
                epoch.advance(steps)
                if epoch.number == 3:
                    signal.raise_signal(signal.SIGINT)

            if epoch.number == 3 and how == "killed":
                raise KeyboardInterrupt  # with no step done there is nothing to keep
            return super().__call__(state, dataclasses.replace(epoch, advance=stop))

    train_model(run("unbroken"))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):  # noqa: PT012
        patch.setattr(epoch_runner, "OnDeviceEpochRunner", Stopped)
        train_model(run("broken"))
    assert run("broken").paths.unfinished.is_dir() == (how == "asked")
    capsys.readouterr()
    with pytest.raises(InputError, match=r"train.learning_rate: 0.001 there, 0.01 now"):
        train_model(run("broken", train__learning_rate=0.01))
    train_model(run("broken"))
    printed = capsys.readouterr().out
    assert "training: resuming after epoch 2" in printed
    assert ("training: resuming epoch 3 after 1 of its steps" in printed) == (how == "asked")
    assert not run("broken").paths.unfinished.exists()
    ended = [meta.read_latest_meta(run(name).paths.checkpoints) for name in ("unbroken", "broken")]
    assert len(ended[0]["arrays"]) > 10
    for name in ("epoch", "arrays", "validation", "thresholds", "stopping"):
        assert ended[0][name] == ended[1][name]


def test_checkpoint_of_other_data_is_refused(cached, posters_dir, clip_folder, bert_folder, tiny_run, tmp_path):
    other = tiny_run(
        cached.paths.workdir, posters_dir, clip_folder, bert_folder, data__dataset_dir=str(tmp_path), data__split_seed=5
    )
    build(other)
    with pytest.raises(InputError, match="not the one that the checkpoints"):
        evaluate(other)


def test_encoder_with_other_weights_is_refused(cached, posters_dir, clip_folder, tiny_run):
    other = tiny_run(cached.paths.workdir, posters_dir, clip_folder, clip_folder)
    with pytest.raises(InputError, match=r"encoders.text: the checkpoint was trained with another encoder"):
        list(predict(other, [str(next((posters_dir / "images").glob("*.jpg")))]))


def test_stages_out_of_order_say_what_to_run(tmp_path, posters_dir, clip_folder, bert_folder, tiny_run):
    run = tiny_run(tmp_path, posters_dir, clip_folder, bert_folder)
    with pytest.raises(InputError, match="--mode=build"):
        train_model(run)
    build(run)
    with pytest.raises(InputError, match="--mode=features"):
        train_model(run)
    with pytest.raises(InputError, match="holds no checkpoint"):
        evaluate(run)
    with pytest.raises(InputError, match="holds no checkpoint"):
        report(run)
    extract_features(run)
    train_model(run)
    with pytest.raises(InputError, match=r"no results of validation, test of this run. Run --mode=evaluate"):
        report(run)


@pytest.mark.parametrize("name", ["addition", "concatenation", "image_only", "text_only"])
def test_every_head_trains(cached, name, posters_dir, clip_folder, bert_folder, tiny_run, tmp_path):
    text = clip_folder if name == "addition" else bert_folder
    places = {} if name == "addition" else {"features__dir": str(cached.paths.features)}
    dataset = {"data__dataset_dir": str(cached.paths.dataset)}
    run = tiny_run(tmp_path, posters_dir, clip_folder, text, model__name=name, train__max_epochs=1, **places, **dataset)
    for stage in (extract_features, train_model, evaluate):
        stage(run)
    assert read_results(run.paths.results, "test")["model"] == name


def test_addition_of_unequal_widths_says_what_to_do(cached, posters_dir, clip_folder, bert_folder, tiny_run, tmp_path):
    places = {"features__dir": str(cached.paths.features), "data__dataset_dir": str(cached.paths.dataset)}
    run = tiny_run(tmp_path, posters_dir, clip_folder, bert_folder, model__name="addition", **places)
    with pytest.raises(InputError, match=r"24 and 32 wide.*concatenation"):
        train_model(run)


@pytest.mark.slow
def test_tokens_with_every_way_of_fusion(cached, posters_dir, clip_folder, bert_folder, tiny_run, tmp_path):
    for token_fusion in ("add_pooled_text", "concat", "pool_add"):
        run = tiny_run(
            tmp_path / token_fusion,
            posters_dir,
            clip_folder,
            bert_folder,
            data__dataset_dir=str(cached.paths.dataset),
            features__dir=str(tmp_path / "features"),
            features__level="tokens",
            features__image_grid=2,
            model__token_fusion=token_fusion,
            train__max_epochs=1,
        )
        for stage in (extract_features, train_model, evaluate, report):
            stage(run)
        assert np.isfinite(read_results(run.paths.results, "test")["loss"])
        assert "<h2>Attention of the words</h2>" in (run.paths.report / "report.html").read_text()


@pytest.mark.slow
def test_unfinished_seeds_are_gone_on_with_only_by_the_same_run(
    tmp_path, monkeypatch, posters_dir, clip_folder, cached, tiny_run
):
    def runs(seeds=(1, 2), **changes):
        shared = {"data__dataset_dir": str(cached.paths.dataset), "features__dir": str(cached.paths.features), **changes}
        bert = cached.config.encoders.text
        return [tiny_run(tmp_path / f"seed{seed}", posters_dir, clip_folder, bert, seed=seed, **shared) for seed in seeds]

    def killed(*args):
        save(*args)
        raise KeyboardInterrupt

    group, save = tmp_path / "together", seeds_lib._save_group
    monkeypatch.setattr(seeds_lib, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(seeds_lib, "_save_group", killed)
    with pytest.raises(KeyboardInterrupt):
        train_model_seeds(runs(), group)
    monkeypatch.setattr(seeds_lib, "_save_group", save)
    with pytest.raises(InputError, match=r"train.learning_rate: 0.001 there, 0.01 now"):
        train_model_seeds(runs(train__learning_rate=0.01), group)
    with pytest.raises(InputError, match=r"unfinished training of the seeds \[1, 2\]; now they are \[1, 2, 3\]"):
        train_model_seeds(runs((1, 2, 3)), group)
    train_model_seeds(runs(), group)
    assert not group.exists()
    for run in runs():
        evaluate(run)
    assert [results["seed"] for results in results_of(runs(), "test")] == [1, 2]
    with pytest.raises(InputError, match="no results of the split 'train'"):
        results_of(runs(), "train")


@pytest.mark.parametrize("seeds", [[], [1, 1], [-1]])
def test_bad_seeds_are_refused(tmp_path, seeds):
    with pytest.raises(InputError, match="give at least one"):
        run_seeds(defaults.get_config(), tmp_path, seeds)
