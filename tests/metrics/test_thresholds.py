"""The decision rule and the tuned thresholds, against a search of every threshold."""

import time

import numpy as np
import pytest

from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import NUM_GENRES
from posterfusion_jax.metrics.thresholds import MIN_POSITIVES, apply_thresholds, fit_thresholds


def random_split(n=60, seed=0):
    rng = np.random.default_rng(seed)
    labels = (rng.uniform(size=(n, NUM_GENRES)) < 0.25).astype(np.uint8)
    labels[0] = 1  # no genre without a positive
    scores = (0.3 * rng.uniform(size=labels.shape) + 0.25 * labels + 0.1).round(2)
    return scores, labels


def f1_of_genres(scores, labels, threshold):
    """2 tp / (predicted + positive) of each genre, as it is defined."""
    predicted, positive = scores > threshold, labels == 1
    return 2 * (predicted & positive).sum(0) / np.maximum(predicted.sum(0) + positive.sum(0), 1)


def macro_f1(scores, labels, threshold):
    return f1_of_genres(scores, labels, threshold).mean()


@pytest.mark.parametrize("seed", range(5))
def test_tuned_thresholds_are_the_best_there_are(seed):
    scores, labels = random_split(n=160, seed=seed)
    assert labels.sum(axis=0).min() >= MIN_POSITIVES
    found = fit_thresholds(scores, labels)
    everywhere = np.arange(0, 1, 0.005)  # scores are rounded to 0.01: this meets every interval
    tried = np.stack([f1_of_genres(scores, labels, t) for t in everywhere])
    assert macro_f1(scores, labels, found["tuned"]) == pytest.approx(tried.mean(axis=1).max(), abs=1e-12)
    per_genre = f1_of_genres(scores, labels, np.array(found["tuned_per_genre"]))
    np.testing.assert_allclose(per_genre, tried.max(axis=0), atol=1e-12)
    assert found["fixed"] == 0.5


def test_midpoint_between_the_scores_that_matter():
    scores = np.full((2 * MIN_POSITIVES, NUM_GENRES), 0.1)
    scores[MIN_POSITIVES:] = 0.4
    labels = np.zeros_like(scores)
    labels[MIN_POSITIVES:] = 1
    found = fit_thresholds(scores, labels)
    assert found["tuned"] == pytest.approx(0.25)
    assert found["tuned_per_genre"] == pytest.approx([0.25] * NUM_GENRES)
    # Positives and negatives with the same score: nothing beats predicting the genre everywhere, from 0 up to it.
    assert fit_thresholds(np.full_like(scores, 0.8), labels)["tuned"] == pytest.approx(0.4)


def test_among_equals_the_one_nearest_to_one_half():
    column, positive = np.array([0.3, 0.5, 0.6, 0.7]), np.array([1, 0, 0, 1])
    scores = np.repeat(column[:, None], NUM_GENRES, axis=1)
    labels = np.repeat(positive[:, None], NUM_GENRES, axis=1)
    ties = [t for t in (0.15, 0.4, 0.55, 0.65, 0.85) if macro_f1(scores, labels, t) == pytest.approx(2 / 3)]
    assert ties == [0.15, 0.65]
    assert fit_thresholds(scores, labels)["tuned"] == pytest.approx(0.65)


def test_a_genre_with_few_positives_takes_the_common_threshold():
    scores, labels = random_split(n=300)
    scores[:, [3, 7, 9]] /= 2
    labels[:, 7] = 0
    for genre, positives in ((3, MIN_POSITIVES), (9, MIN_POSITIVES - 1)):
        labels[:, genre] = 0
        labels[np.argsort(-scores[:, genre])[:positives], genre] = 1
    found = fit_thresholds(scores, labels)
    assert (found["common"], found["min_positives"]) == ([7, 9], MIN_POSITIVES)
    assert [found["tuned_per_genre"][genre] == found["tuned"] for genre in (3, 7, 9)] == [False, True, True]
    alone = fit_thresholds(np.delete(scores, [7, 9], axis=1), np.delete(labels, [7, 9], axis=1))["tuned_per_genre"]
    assert np.delete(found["tuned_per_genre"], [7, 9]).tolist() == alone


@pytest.mark.parametrize("genres", [2, 5, 40])
def test_the_common_threshold_is_the_best_of_every_midpoint(genres):
    """The running sums find the same threshold as an evaluation of all, ties included."""
    for seed in range(8):
        rng = np.random.default_rng([genres, seed])
        labels = rng.random((12, genres)) < rng.choice([0.02, 0.3])
        scores = np.clip(0.3 * labels + 0.7 * rng.random(labels.shape), 0, 1)
        if seed % 2:
            scores = scores.round(1)
        edges = np.unique(np.append(scores, (0.0, 1.0)))
        midpoints = (edges[:-1] + edges[1:]) / 2
        macro = sum(np.array([f1_of_genres(scores, labels, t) for t in midpoints]).T) / genres
        tied = midpoints[macro == macro.max()]
        assert fit_thresholds(scores, labels)["tuned"] == tied[np.abs(tied - 0.5).argmin()]


def test_own_thresholds_help_from_the_minimum_on():
    """The simulation of the docstring, smaller: calibrated scores whose log odds are shifted per label."""
    rng = np.random.default_rng(0)
    changes = {True: [], False: []}
    for n in (60, 120, 250, 500) * 40:
        shares, distance = rng.uniform(0.03, 0.4, NUM_GENRES), rng.uniform(0.8, 2.2, NUM_GENRES)
        shift = np.log(shares / (1 - shares)) - distance**2 / 2 + rng.normal(0, 0.3, NUM_GENRES)
        split = {}
        for name, rows in (("validation", n), ("test", 4000)):
            labels = rng.random((rows, NUM_GENRES)) < shares
            evidence = rng.normal(size=labels.shape) + distance * labels
            split[name] = 1 / (1 + np.exp(-(distance * evidence + shift))), labels
        scores, labels = split["validation"]
        tuned = fit_thresholds(scores, labels)["tuned"]
        # Every poster many times, which changes no F1: own thresholds for all labels with a positive.
        own = fit_thresholds(np.tile(scores, (MIN_POSITIVES, 1)), np.tile(labels, (MIN_POSITIVES, 1)))["tuned_per_genre"]
        before, after = (f1_of_genres(*split["test"], np.array(limits)) for limits in ([tuned] * NUM_GENRES, own))
        for positives, change in zip(labels.sum(axis=0), after - before, strict=True):
            if positives:
                changes[bool(positives >= MIN_POSITIVES)].append(100 * change)
    assert np.mean(changes[False]) < -0.2
    assert np.mean(changes[True]) > 0.2


def test_order_of_posters_does_not_matter():
    scores, labels = random_split()
    shuffled = np.random.default_rng(3).permutation(len(scores))
    assert fit_thresholds(scores, labels) == fit_thresholds(scores[shuffled], labels[shuffled])


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_saturated_scores(value):
    scores, labels = random_split()
    found = fit_thresholds(np.full_like(scores, value), labels)
    assert 0 <= found["tuned"] <= 1
    assert (apply_thresholds(np.full_like(scores, value), found["tuned"]) == bool(value)).all()


@pytest.mark.parametrize(("low", "separable"), [(0.7, True), (0.6, False)])
def test_a_midpoint_that_rounds_to_a_score_is_judged_as_it_decides(low, separable):
    """Between neighbouring floats there is none: the midpoint rounds to the lower score (it separates) or the upper."""
    scores = np.full((2, NUM_GENRES), low)
    scores[1] = np.nextafter(low, 1)
    assert ((scores[0, 0] + scores[1, 0]) / 2 == low) == separable
    labels = np.repeat([[0], [1]], NUM_GENRES, axis=1)
    tuned = fit_thresholds(scores, labels)["tuned"]
    assert macro_f1(scores, labels, tuned) == pytest.approx(1 if separable else 2 / 3)


def test_large_validation_split_is_quick():
    rng = np.random.default_rng(0)
    labels = rng.uniform(size=(20_000, NUM_GENRES)) < 0.2
    start = time.perf_counter()
    fit_thresholds(rng.uniform(size=labels.shape), labels)
    assert time.perf_counter() - start < 10  # about half a second; a search of every pair would take hours


def test_apply_is_strict_and_takes_one_threshold_or_thirteen():
    scores = np.full((2, NUM_GENRES), 0.5)
    scores[1] = 0.6
    np.testing.assert_array_equal(apply_thresholds(scores, 0.5), [[False] * NUM_GENRES, [True] * NUM_GENRES])
    limits = [0.4] + [0.9] * 12
    np.testing.assert_array_equal(apply_thresholds(scores, limits), [[True] + [False] * 12] * 2)


def test_force_top1_only_helps_posters_without_a_genre():
    scores = np.full((2, NUM_GENRES), 0.1)
    scores[0, [2, 5]] = 0.3, 0.4
    scores[1, [2, 5]] = 0.6, 0.7
    found = apply_thresholds(scores, 0.5, force_top1=True)
    assert np.flatnonzero(found[0]).tolist() == [5]
    assert np.flatnonzero(found[1]).tolist() == [2, 5]


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), [0.5] * 12, [[0.5] * 13]])
def test_bad_thresholds(threshold):
    with pytest.raises(InputError, match="threshold"):
        apply_thresholds(np.full((2, NUM_GENRES), 0.5), threshold)


def test_bad_arrays():
    scores, labels = random_split(5)
    with pytest.raises(ValueError, match="no posters"):
        fit_thresholds(scores[:0], labels[:0])
    with pytest.raises(ValueError, match="NaN"):
        fit_thresholds(scores * np.nan, labels)
    with pytest.raises(ValueError, match="labels have the shape"):
        fit_thresholds(scores, labels[:, :3])
