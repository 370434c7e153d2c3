"""The closed form from score to probability, and the calibration error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterfusion_jax.calibration import expected_calibration_error, optimal_score, true_probability
from posterfusion_jax.errors import InputError
from posterfusion_jax.losses import LOSS_PRESETS, make_loss

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
