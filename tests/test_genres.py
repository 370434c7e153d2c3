"""Names of genres travel with data, checkpoints and results: another order or number is refused."""

import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image
from result_files import write_run
from tiny_runs import read_with

from posterfusion_jax import genres
from posterfusion_jax.cli import tables
from posterfusion_jax.datasets.imdb_posters import paths
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.aggregate import aggregate_seeds, check_paper_summaries
from posterfusion_jax.evaluation.compare import compare, read_system
from posterfusion_jax.evaluation.results import read_results, read_scores
from posterfusion_jax.genres import GENRES, PAPER_GENRES, check_paper_genres, check_same_genres, decode_genres, read_genres
from posterfusion_jax.metrics.multilabel import multilabel_report
from posterfusion_jax.ocr.engines.base import NoEngine
from posterfusion_jax.pipeline import classifier, predict
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.pipeline.evaluate import evaluate
from posterfusion_jax.pipeline.features import extract_features
from posterfusion_jax.pipeline.ocr import read_words
from posterfusion_jax.pipeline.report import report_sections
from posterfusion_jax.pipeline.source import change_run
from posterfusion_jax.pipeline.train import train_model
from posterfusion_jax.report.model_card import format_card
from posterfusion_jax.utils.checksums import with_checksum

SWAPPED = (GENRES[1], GENRES[0], *GENRES[2:])
MORE = (*GENRES, *(f"genre {k}" for k in range(8)))


def set_genres(monkeypatch, names):
    """The constant as another version of the package would have it, wherever it was imported."""
    for name, module in list(sys.modules.items()):
        if name.startswith("posterfusion_jax") and getattr(module, "GENRES", None) in (GENRES, SWAPPED):
            monkeypatch.setattr(module, "GENRES", names)
            if hasattr(module, "INDEX"):
                monkeypatch.setattr(module, "INDEX", {genre: i for i, genre in enumerate(names)})


def rewrite(path, **changes):
    """A sealed JSON file with other values; None removes one."""
    fields = json.loads(path.read_text()) | changes
    fields = {name: value for name, value in fields.items() if value is not None and name != "check"}
    path.write_text(json.dumps(with_checksum(fields)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, posters_dir, clip_folder, tiny_run):
    run = tiny_run(tmp_path_factory.mktemp("genres"), posters_dir, clip_folder, train__max_epochs=1)
    for stage in (read_words, build, extract_features, train_model, evaluate):
        stage(run)
    return run


@pytest.fixture
def run(finished, tmp_path, posters_dir, clip_folder, tiny_run):
    """A copy that a test may change."""
    shutil.copytree(finished.paths.workdir, tmp_path / "copy")
    return tiny_run(tmp_path / "copy", posters_dir, clip_folder, train__max_epochs=1)


@pytest.fixture
def report_file(run):
    return paths.dataset_dir(run.paths.dataset, run.config.data.split_by) / paths.REPORT_FILE


def test_names_are_compared_with_the_first_difference():
    check_same_genres(list(GENRES), GENRES, place_here="a", place_there="b")
    for there, message in (
        (SWAPPED, r"a and b have different genres: number 1 is 'action' of 13 and 'adventure' of 13"),
        (GENRES[:12], r"number 13 is 'thriller' of 13 and absent of 12"),
        (MORE, r"number 14 is absent of 13 and 'genre 0' of 21"),
        ((*GENRES[:12], "Thriller"), r"number 13 is 'thriller' of 13 and 'Thriller' of 13"),
    ):
        with pytest.raises(InputError, match=message):
            check_same_genres(GENRES, there, place_here="a", place_there="b")


def test_names_of_before_are_the_papers_whatever_the_constant_is(monkeypatch):
    set_genres(monkeypatch, SWAPPED)
    assert read_genres({}, place="x") == PAPER_GENRES == GENRES
    assert read_genres({"genres": list(SWAPPED)}, place="x") == SWAPPED
    assert read_genres({"genres": np.array(SWAPPED)}, place="x") == SWAPPED
    for wrong in (["a", "a"], [1, 2], "action", None, {"a": 1}):
        with pytest.raises(InputError, match=r"x: genres is .*must be a list of different names"):
            read_genres({"genres": wrong}, place="x")


def test_labels_and_metrics_take_their_names_as_a_value():
    assert decode_genres(np.eye(13)[0], SWAPPED) == ("adventure",)
    scores = np.random.default_rng(0).random((20, 13))
    labels = scores > 0.6
    usual, swapped = multilabel_report(scores, labels), multilabel_report(scores, labels, genres=SWAPPED)
    assert swapped["per_genre"]["adventure"] == usual["per_genre"]["action"]
    assert list(swapped["per_genre"]) == list(SWAPPED)


def test_a_run_notes_its_names_everywhere(finished):
    assert list(open_run_dataset(finished).genres) == open_run_dataset(finished).report["genres_order"] == list(GENRES)
    results = read_results(finished.paths.results, "test")
    assert results["genres"] == list(GENRES)
    assert read_scores(finished.paths.results, "test")["genres"].tolist() == list(GENRES)
    with classifier.open_checkpoints(finished) as checkpoints:
        assert classifier.best_meta(checkpoints, finished.paths.workdir)[1]["genres"] == list(GENRES)


def test_prediction_and_report_use_the_checkpoints_names(finished, monkeypatch, tmp_path):
    Image.new("RGB", (40, 60), "red").save(tmp_path / "poster.png")
    monkeypatch.setattr(predict, "read_files", read_with(NoEngine()))
    before = list(predict.predict(finished, [str(tmp_path)]))
    results, _, _ = report_sections(finished)
    about = {"dataset": open_run_dataset(finished).report, "groups": 2}
    card = format_card(results, **about)
    set_genres(monkeypatch, SWAPPED)
    assert list(predict.predict(finished, [str(tmp_path)])) == before
    found, _, sections = report_sections(finished)
    assert (found, format_card(found, **about)) == (results, card)
    assert sections
    set_genres(monkeypatch, MORE)
    evaluate(finished)  # up to date


@pytest.mark.parametrize("names", [SWAPPED, (*GENRES[:12], "war")])
def test_another_dataset_is_refused_by_training_evaluation_and_report(run, report_file, names):
    rewrite(report_file, genres_order=list(names))
    for stage in (train_model, evaluate, report_sections):
        with pytest.raises(InputError, match=r"the dataset .* and .* have different genres: number \d+ is"):
            stage(run)


def test_a_dataset_of_other_length_is_refused_before_training(run, report_file):
    shutil.rmtree(run.paths.checkpoints)
    rewrite(report_file, genres_order=list(MORE))
    with pytest.raises(InputError, match=r"labels of 13 genres, but its report names 21"):
        train_model(run)
    with pytest.raises(InputError, match=r"labels of 13 genres, but its report names 21"):
        open_run_dataset(run).columns("test")


def test_a_dataset_without_names_has_them_in_the_order_of_its_counts(run, report_file):
    rewrite(report_file, genres_order=None)
    assert open_run_dataset(run).genres == GENRES
    evaluate(run)
    splits = json.loads(report_file.read_text())["splits"]
    for part in splits.values():
        part["genres"] = {genre: part["genres"][genre] for genre in SWAPPED}
    rewrite(report_file, splits=splits)
    with pytest.raises(InputError, match="number 1 is 'adventure' of 13 and 'action' of 13"):
        evaluate(run)


def test_a_checkpoint_of_other_genres_is_refused(run, monkeypatch):
    real = classifier.Checkpoints.read_meta

    def with_changes(**changes):
        monkeypatch.setattr(classifier.Checkpoints, "read_meta", lambda self, epoch: real(self, epoch) | changes)

    with_changes(genres=list(MORE))
    with pytest.raises(
        InputError, match=r"the checkpoint of epoch 1 .* has 13 numbers in thresholds.tuned_per_genre for 21 genres"
    ):
        list(predict.predict(run, [str(run.paths.posters)]))
    with_changes(genres=list(SWAPPED))
    with pytest.raises(InputError, match="have different genres"):
        train_model(run)
    with_changes(thresholds={"fixed": 0.5, "tuned": 0.5, "tuned_per_genre": [0.5] * 12})
    with pytest.raises(InputError, match=r"has 12 numbers in thresholds.tuned_per_genre for 13 genres"):
        evaluate(run)
    with_changes(calibration={"slope": [1.0] * 13, "intercept": [0.0] * 14})
    with pytest.raises(InputError, match=r"has 14 numbers in calibration.intercept"):
        evaluate(run)


def test_a_dataset_is_built_again_when_names_change(run, capsys):
    build(run)
    assert "(up to date)" in capsys.readouterr().out
    run = change_run(run, {"data.labels": SWAPPED})
    build(run)
    assert f"built: the genres were {', '.join(GENRES)}" in capsys.readouterr().out
    assert open_run_dataset(run).genres == SWAPPED
    with pytest.raises(InputError, match=r"another config:\n  data.labels: \[\] there"):
        train_model(run)


def test_results_of_before_and_of_other_genres_in_comparisons(tmp_path, monkeypatch):
    write_run(tmp_path / "old")
    write_run(tmp_path / "new", genres=list(GENRES))
    write_run(tmp_path / "swapped", genres=list(SWAPPED))
    old, new, swapped = (read_system(str(tmp_path / name), "test") for name in ("old", "new", "swapped"))
    assert compare(old, new, resamples=100)["metrics"]["f1_macro"]["difference"] == 0
    for one in (old, new):
        with pytest.raises(InputError, match=r"new|old.* and .*swapped have different genres: number 1"):
            compare(one, swapped, resamples=100)
    path = tmp_path / "new" / "results" / "test_scores.npz"
    np.savez(path, **{**np.load(path), "genres": np.array(SWAPPED)})
    with pytest.raises(InputError, match=r"the results and .*test_scores.npz have different genres"):
        read_system(str(tmp_path / "new"), "test")


def test_seeds_of_other_genres_are_not_summarized(finished):
    first = read_results(finished.paths.results, "test")
    assert aggregate_seeds([first, first])["genres"] == list(GENRES)
    del first["genres"]
    assert aggregate_seeds([first])["genres"] == list(GENRES)
    with pytest.raises(InputError, match="the results of seed 0 and the results of seed 5 have different genres: number 1"):
        aggregate_seeds([first, {**first, "seed": 5, "genres": list(SWAPPED)}])


def test_the_papers_tables_need_the_papers_genres(tmp_path):
    check_paper_genres(GENRES, place="x")
    for names, message in (
        (SWAPPED, r"x has other genres than the paper: number 1 is 'adventure' of 13, in the paper 'action' of 13"),
        (MORE, r"number 14 is 'genre 0' of 21, in the paper absent of 13"),
        (GENRES[:12], r"number 13 is absent of 12, in the paper 'thriller' of 13"),
    ):
        with pytest.raises(InputError, match=message):
            check_paper_genres(names, place="x")
    old = {"per_genre": {"metrics": dict.fromkeys(GENRES)}}
    check_paper_summaries({"a": {"genres": list(GENRES)}, "b": old, "c": {}}, place="x")
    for summary in ({"genres": list(SWAPPED)}, {"per_genre": {"metrics": dict.fromkeys(SWAPPED)}}):
        with pytest.raises(InputError, match=r"the summary of b in x has other genres than the paper"):
            check_paper_summaries({"a": old, "b": summary}, place="x")
    (tmp_path / "by_film").mkdir()
    (tmp_path / "by_film" / "gmu.json").write_text(json.dumps({"genres": list(MORE)}))
    with pytest.raises(SystemExit) as stopped:
        sys.exit(tables.main([f"--results={tmp_path}"]))
    assert stopped.value.code == 2


@pytest.mark.parametrize(("name", "shown"), [("drama", "drama"), ("x" * 7, "xxxxxxx"), ("abcdefghij", "abc...j")])
def test_long_names_are_shortened_in_the_middle(name, shown):
    assert genres.shorten_name(name, 7) == shown


def test_lists_of_names_and_the_most_frequent():
    assert genres.list_names(["a", "b"], 2) == "a, b"
    assert genres.list_names(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert genres.most_frequent({"a": 1, "b": 3, "c": 2}, 2) == ["b", "c"]
    assert genres.most_frequent({"a": 1, "b": 3}, 5) == ["a", "b"]
