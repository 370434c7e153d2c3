"""Results of groups whose posters have different labels, as in tables of posters."""

import numpy as np
import pytest

from posterfusion_jax.evaluation.results import ResultOptions, SplitOutputs, make_results
from posterfusion_jax.metrics.thresholds import fit_thresholds

SCORES = np.random.default_rng(0).random((8, 2))
LABELS = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1], [1, 1], [1, 0], [1, 0]], np.uint8)
GROUPS = ["a", "a", "b", "b", "c", "c", "d", "d"]


def results_of(labels: np.ndarray) -> dict:
    outputs = SplitOutputs(
        poster_ids=[f"p{k}" for k in range(8)],
        film_ids=GROUPS,
        genres=("light", "dark"),
        labels=labels,
        scores=SCORES,
        loss=0.5,
        probabilities={},
        gates={},
        controls={},
    )
    options = ResultOptions(threshold=0.5, force_top1=False, fitted=fit_thresholds(SCORES, labels), resamples=100)
    return make_results(outputs, options, {"split": "test"})


def test_groups_with_the_same_labels_have_metrics_by_group():
    results = results_of(LABELS)
    assert results["metrics_by_film"]["per_genre"]["light"]["support"] == 3
    assert "films_of_several_labels" not in results


def test_groups_with_different_labels_are_counted_and_left_out_of_the_metrics_by_group():
    labels = LABELS.copy()
    labels[0] = (0, 1)
    results = results_of(labels)
    assert results["films_of_several_labels"] == 1
    assert results["metrics_by_film"]["per_genre"]["light"]["support"] == 2
    assert results["metrics"]["per_genre"]["light"]["support"] == pytest.approx(labels[:, 0].sum())


def test_without_any_other_group_there_are_no_metrics_by_group():
    labels = np.tile(np.array([[1, 0], [0, 1]], np.uint8), (4, 1))
    results = results_of(labels)
    assert results["films_of_several_labels"] == 4
    assert "metrics_by_film" not in results
