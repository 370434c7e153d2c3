"""The metrics: the paper's own tables as golden fixture, parity with scikit-learn, edge cases."""

import json
import logging
import pathlib

import numpy as np
import pytest
from sklearn import metrics as sk

from posterfusion_jax import metrics
from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import GENRES, INDEX, NUM_GENRES
from posterfusion_jax.metrics.multilabel import (
    average_precisions,
    film_scores,
    multilabel_report,
    report_from_counts,
)
from posterfusion_jax.metrics.report_text import format_report

PAPER = json.loads((pathlib.Path(__file__).parents[2] / "data" / "paper_tables.json").read_text())
REBUILT = PAPER["confusion_reconstructed"]
COUNTS = {name: [REBUILT["per_genre"][genre][name] for genre in GENRES] for name in ("tp", "fn", "fp", "tn")}


def printed(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}"


def random_split(n=400, seed=0):
    """Scores that know something of the labels, with ties, and 1-3 genres a poster; drama is frequent."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((n, NUM_GENRES), np.uint8)
    for row in labels:
        row[rng.choice(NUM_GENRES, size=rng.integers(1, 4), replace=False, p=np.r_[[0.06] * 12, 0.28])] = 1
    scores = 1 / (1 + np.exp(-(rng.normal(size=labels.shape) + 2.0 * labels - 1.0)))
    return scores.round(2), labels


def constant_drama():
    """Labels with the supports of the rebuilt counts, and scores that say drama whatever the poster."""
    labels = np.zeros((REBUILT["num_test_posters"], NUM_GENRES), np.uint8)
    for g, (tp, fn) in enumerate(zip(COUNTS["tp"], COUNTS["fn"], strict=True)):
        labels[: tp + fn, g] = 1
    scores = np.full(labels.shape, 0.1)
    scores[:, INDEX["drama"]] = 0.9
    return scores, labels


def test_table_i_last_row_to_the_last_digit():
    report = report_from_counts(**COUNTS)
    expected = PAPER["table_i"]["ours"]
    for name in ("f1_macro", "ba_macro", "f1_micro", "ba_micro", "f1_weighted", "ba_weighted"):
        assert printed(100 * report[name], 2) == printed(expected[name], 2), name
    assert printed(report["hamming_loss"], 4) == printed(expected["hamming_loss"], 4)
    assert report["num_posters"] == 1470


@pytest.mark.parametrize("genre", GENRES)
def test_table_iv_all_cells(genre):
    measures = report_from_counts(**COUNTS)["per_genre"][genre]
    for name, expected in PAPER["table_iv"][genre].items():
        assert printed(100 * measures[name], 2) == printed(expected, 2), name
    counts = REBUILT["per_genre"][genre]
    assert measures["support"] == counts["tp"] + counts["fn"]


def test_table_ii_text_row_is_a_constant_predictor():
    report = multilabel_report(*constant_drama())
    expected = PAPER["table_ii"]["text_clip"]
    for name in ("f1_macro", "ba_macro", "f1_micro", "ba_micro", "f1_weighted", "ba_weighted"):
        assert printed(100 * report[name], 2) == printed(expected[name], 2), name
    assert printed(report["hamming_loss"], 4) == printed(expected["hamming_loss"], 4)
    assert report["hit_ratio"] == pytest.approx(649 / 1470)
    assert report["roc_auc_macro"] == 0.5


def test_the_data_file_has_the_numbers_of_the_source(shared_dir):
    source = json.loads((shared_dir / "paper" / "tables.json").read_text())
    assert {**source, "note": ""} == {**PAPER, "note": ""}


@pytest.mark.parametrize("threshold", [0.5, 0.31, np.linspace(0.2, 0.8, NUM_GENRES)], ids=["half", "low", "per genre"])
def test_parity_with_scikit_learn(threshold):
    scores, labels = random_split()
    predicted = scores > threshold
    report = multilabel_report(scores, labels, threshold=threshold)
    for average in ("macro", "micro", "weighted", "samples"):
        expected = sk.f1_score(labels, predicted, average=average, zero_division=0)
        assert report[f"f1_{average}"] == pytest.approx(expected, abs=1e-12)
    support = labels.sum(0)
    by_column = [sk.balanced_accuracy_score(labels[:, g], predicted[:, g]) for g in range(NUM_GENRES)]
    by_row = [sk.balanced_accuracy_score(*rows) for rows in zip(labels, predicted, strict=True)]
    assert report["ba_macro"] == pytest.approx(np.mean(by_column), abs=1e-12)
    assert report["ba_weighted"] == pytest.approx(np.average(by_column, weights=support), abs=1e-12)
    assert report["ba_micro"] == pytest.approx(sk.balanced_accuracy_score(labels.ravel(), predicted.ravel()), abs=1e-12)
    assert report["ba_samples"] == pytest.approx(np.mean(by_row), abs=1e-12)
    assert report["hamming_loss"] == pytest.approx(sk.hamming_loss(labels, predicted), abs=1e-12)
    assert report["subset_accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted), abs=1e-12)
    assert report["mean_average_precision"] == pytest.approx(sk.average_precision_score(labels, scores), abs=1e-12)
    assert report["roc_auc_macro"] == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)

    precision, recall, f1, _ = sk.precision_recall_fscore_support(labels, predicted, zero_division=0)
    assert tuple(report["per_genre"]) == GENRES
    for g, measures in enumerate(report["per_genre"].values()):
        assert measures["precision"] == pytest.approx(precision[g], abs=1e-12)
        assert measures["recall"] == pytest.approx(recall[g], abs=1e-12)
        assert measures["f1"] == pytest.approx(f1[g], abs=1e-12)
        assert measures["balanced_accuracy"] == pytest.approx(by_column[g], abs=1e-12)
        assert measures["specificity"] == pytest.approx(sk.recall_score(1 - labels[:, g], ~predicted[:, g]), abs=1e-12)
        assert measures["support"] == support[g]
        assert measures["average_precision"] == pytest.approx(sk.average_precision_score(labels[:, g], scores[:, g]))
        assert measures["roc_auc"] == pytest.approx(sk.roc_auc_score(labels[:, g], scores[:, g]))
        assert measures["brier"] == pytest.approx(sk.brier_score_loss(labels[:, g], scores[:, g]))


def test_hit_ratio_looks_at_the_best_score_only():
    scores = np.full((4, NUM_GENRES), 0.1)
    scores[0, 3] = scores[1, 4] = 0.2  # below the threshold: the threshold does not matter
    labels = np.zeros_like(scores)
    labels[0, 3] = labels[1, 5] = labels[2, 0] = labels[3, 1] = 1  # in rows 2 and 3 all tie: the first genre counts
    assert multilabel_report(scores, labels)["hit_ratio"] == 0.5


def test_the_threshold_is_strict():
    scores = np.full((1, NUM_GENRES), 0.5)
    assert multilabel_report(scores, np.ones_like(scores))["per_genre"]["drama"]["recall"] == 0
    assert multilabel_report(scores, np.ones_like(scores), threshold=0.4999)["per_genre"]["drama"]["recall"] == 1


def test_force_top1_gives_every_poster_a_genre():
    scores = np.full((3, NUM_GENRES), 0.1)
    scores[:, 6] = 0.3
    labels = np.zeros_like(scores)
    labels[:, 6] = 1
    assert multilabel_report(scores, labels)["f1_samples"] == 0
    assert multilabel_report(scores, labels, force_top1=True)["f1_samples"] == 1


def test_order_of_posters_does_not_matter():
    scores, labels = random_split()
    shuffled = np.random.default_rng(1).permutation(len(scores))
    one, other = multilabel_report(scores, labels), multilabel_report(scores[shuffled], labels[shuffled])
    for name, value in one.items():
        if name != "per_genre":
            assert other[name] == pytest.approx(value, abs=1e-12), name
    for genre in GENRES:
        assert other["per_genre"][genre] == pytest.approx(one["per_genre"][genre], abs=1e-12)


def test_genres_without_positives_count_as_0_and_are_named_once(caplog):
    scores, labels = random_split()
    labels[:, [INDEX["fantasy"], INDEX["sci-fi"]]] = 0
    labels[~labels.any(axis=1), INDEX["drama"]] = 1
    with caplog.at_level(logging.WARNING):
        report = multilabel_report(scores, labels)
    assert len(caplog.records) == 1
    assert "fantasy, sci-fi" in caplog.text
    assert report["f1_macro"] == pytest.approx(sk.f1_score(labels, scores > 0.5, average="macro", zero_division=0))
    fantasy = report["per_genre"]["fantasy"]
    assert fantasy["recall"] == fantasy["f1"] == fantasy["support"] == 0
    assert fantasy["average_precision"] is None
    others = [g for g in range(NUM_GENRES) if labels[:, g].any()]
    expected = sk.average_precision_score(labels[:, others], scores[:, others])
    assert report["mean_average_precision"] == pytest.approx(expected)
    json.dumps(report, allow_nan=False)


def test_posters_without_any_genre_are_finite():
    scores = np.full((3, NUM_GENRES), 0.1)
    report = multilabel_report(scores, np.zeros_like(scores))
    assert report["f1_weighted"] == report["mean_average_precision"] == report["roc_auc_macro"] == 0
    assert report["hamming_loss"] == 0
    assert report["subset_accuracy"] == 1
    json.dumps(report, allow_nan=False)


def test_bad_scores_and_labels():
    scores, labels = random_split(10)
    for bad, match in (
        (scores[:0], "no posters"),
        (scores[:, :12], r"\(10, 12\)"),
        (scores[0], r"\(13,\)"),
        (np.where(np.arange(10)[:, None] == 4, np.nan, scores), "NaN for 1 of 10 posters, first at row 4"),
        (scores * 8 - 4, "sigmoid"),
    ):
        with pytest.raises(ValueError, match=match):
            multilabel_report(bad, labels[: len(bad)])
    with pytest.raises(ValueError, match=r"\(9, 13\).*\(10, 13\)"):
        multilabel_report(scores, labels[:9])
    with pytest.raises(ValueError, match="multi-hot"):
        multilabel_report(scores, labels * 2)
    with pytest.raises(InputError, match=r"threshold=1\.5"):
        multilabel_report(scores, labels, threshold=1.5)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"tp": [1] * 12}, r"shapes tp \(12,\), fn \(13,\)"),
        ({name: [1] for name in COUNTS}, "2 labels or more"),
        ({name: [1] * 12 for name in COUNTS}, r"there are 12 labels.*name them with genres="),
        ({"fn": [-1] * 13}, "fn must be 13"),
        ({"fp": [0.5] * 13}, "fp must be 13"),
        ({"tn": [7] * 12 + [8]}, "same number"),
        ({"tp": [0] * 13, "fn": [0] * 13, "fp": [0] * 13, "tn": [0] * 13}, "no posters"),
    ],
)
def test_bad_counts(change, match):
    counts = {"tp": [1] * 13, "fn": [1] * 13, "fp": [1] * 13, "tn": [7] * 13}
    with pytest.raises(ValueError, match=match):
        report_from_counts(**{**counts, **change})


def test_counts_of_a_narrow_type_do_not_overflow():
    narrow = {name: np.asarray(values, np.int16) for name, values in COUNTS.items()}
    narrow["tp"] = np.full(13, 200, np.uint8)
    wide = {name: values.astype(np.int64) for name, values in narrow.items()}
    wide["tn"] = narrow["tn"] = 4000 - wide["tp"] - wide["fn"] - wide["fp"]
    assert report_from_counts(**narrow) == report_from_counts(**wide)


def test_film_scores_average_the_posters_of_a_film():
    scores, labels = random_split(4)
    labels[2] = labels[0]
    means, film_labels, films = film_scores(scores, labels, ["tt2", "tt1", "tt2", "tt3"])
    assert films == ["tt1", "tt2", "tt3"]
    np.testing.assert_allclose(means, [scores[1], (scores[0] + scores[2]) / 2, scores[3]])
    np.testing.assert_array_equal(film_labels, labels[[1, 0, 3]].astype(bool))


def test_film_scores_refuse_what_does_not_fit():
    scores, labels = random_split(4)
    labels[0], labels[1] = np.eye(NUM_GENRES)[0], np.eye(NUM_GENRES)[1]
    with pytest.raises(ValueError, match="film tt9 have different labels"):
        film_scores(scores, labels, ["tt9", "tt9", "tt1", "tt2"])
    _, united, _ = film_scores(scores, labels, ["tt9", "tt9", "tt1", "tt2"], unite_labels=True)
    np.testing.assert_array_equal(united[2], (labels[0] | labels[1]).astype(bool))
    with pytest.raises(ValueError, match="3 film_ids do not fit 4"):
        film_scores(scores, labels, ["tt1", "tt2", "tt3"])


def test_format_report_shows_every_genre_aligned():
    text = format_report(multilabel_report(*constant_drama()))
    lines = text.splitlines()
    assert lines[0] == "1470 posters"
    assert "F1 %                   4.71     23.09      9.57" in text
    table = lines[-NUM_GENRES - 1 :]
    assert [line.split()[0] for line in table] == ["genre", *GENRES]
    assert len({len(line) for line in table}) == 1
    assert max(map(len, lines)) <= 120


def test_format_report_of_counts_and_of_undefined_figures():
    text = format_report(report_from_counts(**COUNTS))
    assert "samples" not in text
    assert "68.23" in text
    scores, labels = random_split()
    labels[:, 0] = 0
    action = format_report(multilabel_report(scores, labels)).splitlines()[-NUM_GENRES].split()
    assert action[0] == "action"
    assert action.count("-") == 2  # average precision and ROC-AUC


def test_average_precision_of_weighted_posters_is_that_of_the_posters_repeated():
    scores, labels = random_split(n=60)  # with ties
    weights = np.random.default_rng(1).integers(0, 4, size=(3, 60))
    found = average_precisions(scores, labels.astype(bool), weights)
    for row, counts in zip(found, weights, strict=True):
        expected = sk.average_precision_score(labels.repeat(counts, axis=0), scores.repeat(counts, axis=0), average=None)
        np.testing.assert_allclose(row, expected, atol=1e-12)
    without = np.where(labels[:, 3] > 0, 0, 1)[None]
    assert np.isnan(average_precisions(scores, labels.astype(bool), without)[0, 3])


def test_package_exports():
    names = {name: getattr(metrics, name) for name in metrics.__all__}
    assert names["multilabel_report"] is multilabel_report
    assert names["report_from_counts"] is report_from_counts
    assert {"fit_thresholds", "apply_thresholds", "fit_calibration", "film_bootstrap", "seed_interval"} <= names.keys()
    assert set(names) <= set(dir(metrics))
    with pytest.raises(AttributeError, match="accuracy"):
        metrics.accuracy  # noqa: B018
