"""Tables of scores: their columns, the decisions in them, and cells that a spreadsheet would run as formulas."""

import csv

import numpy as np
import pytest
import result_files

from posterfusion_jax.evaluation.predictions_csv import (
    predictions_path,
    recommended_rule,
    write_predictions,
    write_table,
)
from posterfusion_jax.evaluation.results import read_results, read_scores
from posterfusion_jax.genres import GENRES
from posterfusion_jax.metrics.calibration import calibrated, fit_calibration
from posterfusion_jax.utils.spreadsheet import neutralize_formula, write_csv


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def written(tmp_path):
    result_files.write_run(tmp_path, genres=list(GENRES))
    folder = tmp_path / "results"
    results, arrays = read_results(folder, "test"), read_scores(folder, "test")
    assert results is not None
    titles = [f"Film {i}" for i in range(60)]
    titles[3], titles[4], titles[5] = "=cmd|' /C calc'!A0", 'A "title", with commas\nand lines', "Amélie"
    calibration = fit_calibration(arrays["scores"], arrays["labels"])
    path = write_predictions(folder, results, arrays, titles=titles, calibration=calibration)
    return path, arrays, titles, calibration


def test_one_row_per_poster_with_score_truth_probability_and_decision_per_label(written):
    path, arrays, titles, calibration = written
    rows = read(path)
    assert path.name == "predictions_test.csv"
    assert [row["poster"] for row in rows] == arrays["poster_ids"].tolist()
    assert [row["group"] for row in rows] == arrays["film_ids"].tolist()
    assert [row["title"] for row in rows] == [title if title[0] != "=" else f"'{title}" for title in titles]
    probabilities = calibrated(arrays["scores"], calibration)
    for g, genre in enumerate(GENRES):
        scores = np.array([row[f"score:{genre}"] for row in rows], np.float32)
        np.testing.assert_array_equal(scores, arrays["scores"][:, g])
        assert [int(row[f"truth:{genre}"]) for row in rows] == arrays["labels"][:, g].tolist()
        found = np.array([row[f"probability:{genre}"] for row in rows], np.float32)
        np.testing.assert_allclose(found, probabilities[:, g], rtol=1e-6)
        decided = arrays["scores"][:, g] > result_files.TUNED_PER_GENRE[g]
        assert [int(row[f"decision:{genre}"]) for row in rows] == decided.astype(int).tolist()
    assert {row["thresholds"] for row in rows} == {"tuned_per_genre"}
    assert not list(path.parent.glob("*.partial"))


def test_the_rule_that_results_recommend_decides():
    thresholds = {"fixed": 0.5, "tuned": 0.4, "tuned_per_genre": [0.3]}
    assert recommended_rule({"thresholds": thresholds}) == "tuned_per_genre"
    assert recommended_rule({"thresholds": {**thresholds, "recommended": "tuned"}}) == "tuned"
    assert recommended_rule({"thresholds": {**thresholds, "recommended": "unknown"}}) == "tuned_per_genre"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("  =1", "'  =1"),
        ("\uff1d1", "'\uff1d1"),
        ("The Film = it", "The Film = it"),
        ("", ""),
        ("Sci-Fi", "Sci-Fi"),
    ],
)
def test_formulas_are_neutralized(text, written):
    assert neutralize_formula(text) == written


def test_labels_and_ids_that_look_like_formulas_are_neutralized_too(tmp_path):
    path = tmp_path / "table.csv"
    write_table(path, {"poster": ["=A1"], "fold": [2]}, {"score": np.array([[-0.5]], np.float32)}, labels=["=cmd"])
    assert path.read_text() == "poster,fold,score:=cmd\n'=A1,2,-0.5\n"


def test_a_table_is_replaced_when_the_new_one_is_complete(tmp_path):
    path = tmp_path / "deep" / "table.csv"
    write_csv(path, ["a", "b"], [["=x", None], [1, 0.1]])
    assert path.read_text() == "a,b\n'=x,\n1,0.1\n"

    def broken():
        yield ["new", 1]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_csv(path, ["a", "b"], broken())
    assert path.read_text() == "a,b\n'=x,\n1,0.1\n"


def test_texts_that_are_not_unicode_do_not_stop_the_table(tmp_path):
    write_csv(tmp_path / "t.csv", ["a"], [["bad\udcff"]])
    assert (tmp_path / "t.csv").read_text() == "a\nbad?\n"


def test_the_place_of_a_table(tmp_path):
    assert predictions_path(tmp_path, "validation") == tmp_path / "predictions_validation.csv"
