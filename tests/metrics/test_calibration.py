"""From score to probability: the closed form, Platt scaling against another minimiser, and how well either holds."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special

from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import GENRES, NUM_GENRES
from posterfusion_jax.losses.asymmetric import make_loss
from posterfusion_jax.losses.presets import LOSS_PRESETS
from posterfusion_jax.metrics.calibration import (
    calibrated,
    calibration_report,
    expected_calibration_error,
    fit_calibration,
    optimal_score,
    true_probability,
)
from posterfusion_jax.metrics.multilabel import multilabel_report

PAPER = LOSS_PRESETS["asl"]._asdict()


def test_golden_points():
    scores = [0.30, 0.40, 0.45, 0.50, 0.55, 0.60, 0.64, 0.70, 0.75, 0.80]
    expected = [0.0002, 0.0059, 0.021, 0.061, 0.155, 0.330, 0.518, 0.778, 0.908, 0.968]
    found = true_probability(scores, **PAPER)
    np.testing.assert_allclose(found[:2], expected[:2], atol=5e-5)
    np.testing.assert_allclose(found[2:], expected[2:], atol=5e-4)
    assert true_probability(0.5, **PAPER, stop_gradient=True) == pytest.approx(0.044, abs=5e-4)


def test_golden_threshold_of_one_half():
    assert optimal_score(0.5, **PAPER) == pytest.approx(0.636, abs=5e-4)
    assert optimal_score(0.5, **PAPER, stop_gradient=True) == pytest.approx(0.644, abs=5e-4)


def test_cross_entropy_scores_are_the_probabilities():
    scores = np.linspace(0, 1, 21)
    found = true_probability(scores, gamma_pos=0, gamma_neg=0, margin=0)
    np.testing.assert_allclose(found, scores, atol=1e-11)


@pytest.mark.parametrize("stop_gradient", [False, True])
@pytest.mark.parametrize("preset", list(LOSS_PRESETS))
def test_the_expected_loss_has_no_slope_there(preset, stop_gradient):
    """q * slope for a present genre + (1-q) * slope for an absent one is 0 in the loss that training uses."""
    scores = np.linspace(0.25, 0.95, 15)
    slope = jax.vmap(jax.grad(make_loss(preset, stop_gradient=stop_gradient)))
    with jax.enable_x64(True):
        logits = jnp.asarray(np.log(scores / (1 - scores)))
        present, absent = slope(logits, jnp.ones(15)), slope(logits, jnp.zeros(15))
    q = true_probability(scores, **LOSS_PRESETS[preset]._asdict(), stop_gradient=stop_gradient)
    np.testing.assert_allclose(q * np.asarray(present) + (1 - q) * np.asarray(absent), 0, atol=1e-9)


@pytest.mark.parametrize("preset", list(LOSS_PRESETS))
def test_it_rises_from_0_to_1_and_is_finite(preset):
    q = true_probability(np.linspace(0, 1, 1001), **LOSS_PRESETS[preset]._asdict())
    assert np.isfinite(q).all()
    assert (np.diff(q) >= 0).all()
    assert q[0] == 0
    assert q[-1] == pytest.approx(1)


def test_scores_up_to_the_margin_stand_for_0():
    np.testing.assert_array_equal(true_probability([0.0, 0.1, 0.2], **PAPER), 0)
    assert true_probability(0.2001, **PAPER) > 0


@pytest.mark.parametrize("preset", list(LOSS_PRESETS))
def test_optimal_score_inverts(preset):
    parameters = LOSS_PRESETS[preset]._asdict()
    for probability in (0.01, 0.3, 0.5, 0.9):
        score = optimal_score(probability, **parameters)
        assert true_probability(score, **parameters) == pytest.approx(probability, abs=1e-8)


@pytest.mark.parametrize("scores", [[-0.1], [1.1], [np.nan], [3.7]])
def test_logits_are_refused(scores):
    with pytest.raises(ValueError, match="sigmoid"):
        true_probability(scores, **PAPER)


def test_optimal_score_of_no_probability():
    with pytest.raises(InputError, match=r"probability=1.5"):
        optimal_score(1.5, **PAPER)


def test_calibration_error_golden():
    # Two bins: [0, .5) holds .1 and .3 (one positive of two), [.5, 1] holds .8 and 1. (both positive).
    scores = np.array([[0.1], [0.3], [0.8], [1.0]])
    labels = np.array([[False], [True], [True], [True]])
    expected = 0.5 * abs(0.2 - 0.5) + 0.5 * abs(0.9 - 1.0)
    np.testing.assert_allclose(expected_calibration_error(scores, labels, bins=2), [expected])


def test_calibration_error_of_calibrated_and_of_overconfident_scores():
    rng = np.random.default_rng(0)
    q = rng.uniform(size=(20_000, 2))
    labels = rng.uniform(size=q.shape) < q
    scores = np.stack([q[:, 0], (q[:, 1] > 0.5) * 1.0], axis=1)
    calibrated, overconfident = expected_calibration_error(scores, labels)
    assert calibrated < 0.03
    assert overconfident == pytest.approx(0.25, abs=0.02)  # the mean of min(q, 1 - q)


SLOPE, INTERCEPT = np.linspace(0.5, 6.5, NUM_GENRES), np.linspace(-3, 1, NUM_GENRES)


def planted_split(n, seed=0):
    """Scores whose true probability is known for each genre: the sigmoid of SLOPE * logit + INTERCEPT."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, size=(n, NUM_GENRES))
    labels = rng.uniform(size=logits.shape) < special.expit(SLOPE * logits + INTERCEPT)
    return special.expit(logits), labels


def test_fit_finds_what_was_planted():
    found = fit_calibration(*planted_split(40_000))
    np.testing.assert_allclose(found["slope"], SLOPE, rtol=0.06)
    np.testing.assert_allclose(found["intercept"], INTERCEPT, atol=0.15)


@pytest.mark.parametrize("seed", range(3))
def test_fit_is_the_likeliest_with_platts_targets(seed):
    """Against scipy's bounded minimiser, few posters a genre; labels of three genres are turned round, so that slopes bind."""
    scores, labels = planted_split(60, seed)
    labels[:, 4:7] = ~labels[:, 4:7]
    found = fit_calibration(scores, labels)
    for g in range(NUM_GENRES):
        f, positives = special.logit(scores[:, g]), labels[:, g].sum()
        targets = np.where(labels[:, g], (positives + 1) / (positives + 2), 1 / (60 - positives + 2))

        def loss(parameters, f=f, targets=targets):
            z = parameters[0] * f + parameters[1]
            return np.sum(targets * np.logaddexp(0, -z) + (1 - targets) * np.logaddexp(0, z))

        other = optimize.minimize(loss, [1.0, 0.0], method="L-BFGS-B", bounds=[(0, None), (None, None)], tol=1e-14)
        ours = [found["slope"][g], found["intercept"][g]]
        assert loss(ours) <= other.fun + 1e-9, GENRES[g]
        np.testing.assert_allclose(ours, other.x, atol=2e-3)
    assert found["slope"][4:7] == [0, 0, 0]


@pytest.mark.parametrize("case", ["none positive", "all positive", "constant", "wrong way", "0 and 1 for nothing"])
def test_scores_that_tell_nothing_stand_for_the_mean_target(case):
    scores, labels = planted_split(50)
    g, n = 6, 50
    if case in ("none positive", "all positive"):
        labels[:, g] = case == "all positive"
    elif case == "constant":
        scores[:, g] = 0.3
    elif case == "wrong way":
        scores[:, g] = np.where(labels[:, g], 0.2, 0.4)
    else:
        scores[:, g], labels[:, g] = np.arange(n) % 2, np.arange(n) % 4 < 2
    found = fit_calibration(scores, labels)
    p = labels[:, g].sum()
    assert found["slope"][g] == 0
    expected = (p * (p + 1) / (p + 2) + (n - p) / (n - p + 2)) / n
    np.testing.assert_allclose(calibrated(scores, found)[:, g], expected)


@pytest.mark.parametrize("scores_of", [(0.2, 0.9), (0.0, 1.0), (0.5, 0.50001)], ids=str)
def test_scores_that_separate_a_genre_have_a_finite_fit(scores_of):
    labels = np.zeros((40, NUM_GENRES))
    labels[:8] = 1
    scores = np.where(labels, scores_of[1], scores_of[0])
    found = fit_calibration(scores, labels)
    assert np.isfinite([found["slope"], found["intercept"]]).all()
    # Two values of the score: the two targets are met exactly.
    np.testing.assert_allclose(calibrated(scores, found), np.where(labels, 9 / 10, 1 / 34), rtol=1e-6)


def test_fit_does_not_depend_on_the_order_and_genres_are_fitted_apart():
    scores, labels = planted_split(80)
    found = fit_calibration(scores, labels)
    shuffled = np.random.default_rng(1).permutation(80)
    other = fit_calibration(scores[shuffled], labels[shuffled])
    turned = fit_calibration(scores[:, ::-1], labels[:, ::-1])
    for name in ("slope", "intercept"):
        np.testing.assert_allclose(other[name], found[name], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(turned[name][::-1], found[name], rtol=1e-7, atol=1e-9)


def test_fitted_probabilities_hold_on_other_posters():
    scores, labels = planted_split(500, seed=1)
    fresh, fresh_labels = planted_split(4000, seed=2)
    probabilities = calibrated(fresh, fit_calibration(scores, labels))
    assert (np.diff(probabilities[fresh[:, 3].argsort(), 3]) >= 0).all()
    found = calibration_report({"raw": fresh, "fitted": probabilities}, fresh_labels)
    assert found["fitted"]["ece"] < 0.25 * found["raw"]["ece"]
    assert found["fitted"]["brier"] < 0.8 * found["raw"]["brier"]


def test_report_agrees_with_the_metrics_and_its_bins_with_the_posters():
    scores, labels = planted_split(300)
    scores[0, 0], scores[1, 1] = 0, 1
    found = calibration_report({"raw": scores}, labels)["raw"]
    metrics = multilabel_report(scores, labels)
    assert (found["brier"], found["ece"]) == (metrics["brier"], metrics["ece"])
    for genre, entry in found["per_genre"].items():
        assert entry == {name: metrics["per_genre"][genre][name] for name in ("brier", "ece")}
    bins = found["bins"]
    assert len(bins["edges"]) == 16
    assert sum(bins["count"]) == scores.size
    for i, (low, high) in enumerate(zip(bins["edges"][:-1], bins["edges"][1:], strict=True)):
        inside = (scores >= low) & ((scores < high) | (high == 1))
        assert bins["count"][i] == inside.sum()
        assert bins["mean_score"][i] == pytest.approx(scores[inside].mean())
        assert bins["positive_share"][i] == pytest.approx(labels[inside].mean())
    assert json.loads(json.dumps(found)) == found


def test_empty_bins_have_a_count_and_no_mean():
    bins = calibration_report({"raw": np.full((4, NUM_GENRES), 0.5)}, np.zeros((4, NUM_GENRES)))["raw"]["bins"]
    assert bins["count"] == [0] * 7 + [4 * NUM_GENRES] + [0] * 7
    assert bins["mean_score"] == [None] * 7 + [0.5] + [None] * 7
    assert bins["positive_share"] == [None] * 7 + [0.0] + [None] * 7


def test_unusable_arrays_are_refused():
    scores, labels = planted_split(10)
    with pytest.raises(ValueError, match="sigmoid"):
        fit_calibration(10 * scores, labels)
    with pytest.raises(ValueError, match="labels have the shape"):
        fit_calibration(scores, labels[:5])
    with pytest.raises(ValueError, match="no posters"):
        calibration_report({"raw": scores[:0]}, labels[:0])
