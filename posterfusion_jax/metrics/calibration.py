"""Calibration: probabilities from scores, in closed form for the asymmetric loss or fitted, and their calibration error."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Float64, Int, Shaped
from scipy import special

from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import resolve_names
from posterfusion_jax.metrics.thresholds import check_labeled

BINS = 15  # of equal width, for the calibration error and reliability diagrams, as Guo et al. have it

_NEAR = 1e-12  # distance from 0 and 1 below which scores are clipped: single terms of the closed form are infinite there
_SATURATED = 1e-7  # resolution of a float32 sigmoid near 1: scores closer to 0 or 1 are clipped to this distance
_SAME = 1e-6  # standard deviation of logits below which they differ by rounding only


class Calibration(TypedDict):
    """Hold the parameters of Platt scaling, one number per genre each; see `fit_calibration`."""

    slope: list[float]
    intercept: list[float]


def true_probability(
    scores: npt.ArrayLike, *, gamma_pos: float, gamma_neg: float, margin: float, stop_gradient: bool = False
) -> Float64[np.ndarray, "..."]:
    """Return the probability q for which the expected asymmetric loss is minimal at a given score.

    A model trained with binary cross-entropy outputs q itself; one trained with the asymmetric loss does not: with the
    paper's parameters the score 0.5 corresponds to q = 0.061, and q = 0.5 to the score 0.636. Setting the derivative of
    q l(p, 1) + (1-q) l(p, 0) to zero gives, with p_m = max(p - margin, 0)::

      q(p) = N' / (N' - P')
      P' = gamma_pos (1-p)^(gamma_pos-1) ln p - (1-p)^gamma_pos / p
      N' = -gamma_neg p_m^(gamma_neg-1) ln(1-p_m) + p_m^gamma_neg / (1-p_m)

    without the first term of each where the focusing weights are under a stopped gradient. q = 0 for p <= margin.
    The formula assumes a model that fits its data; `expected_calibration_error` measures how well it holds.

    Args:
      scores: outputs of the sigmoid, in [0, 1], any shape.
      gamma_pos: focusing exponent of present genres in the training loss, see `losses.asymmetric.asymmetric_loss`.
      gamma_neg: focusing exponent of absent genres.
      margin: probability shift of absent genres.
      stop_gradient: whether the focusing weights were constants in the gradient.

    Returns:
      float64 in the shape of `scores`, in [0, 1].

    Raises:
      ValueError: a score outside [0, 1] or NaN.

    References:
      Own derivation from Eq. 8-9 of the paper; with gamma 0 and margin 0 it is q(p) = p.
    """
    p = np.asarray(scores, np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError("scores must be probabilities in [0, 1]; apply the sigmoid to logits first.")
    zero = p <= margin
    p = p.clip(_NEAR, 1 - _NEAR)
    p_m = (p - margin).clip(_NEAR, None)
    slope_pos = -((1 - p) ** gamma_pos) / p
    slope_neg = p_m**gamma_neg / (1 - p_m)
    if not stop_gradient:
        slope_pos += gamma_pos * (1 - p) ** (gamma_pos - 1) * np.log(p)
        slope_neg -= gamma_neg * p_m ** (gamma_neg - 1) * np.log1p(-p_m)
    return np.where(zero, 0.0, slope_neg / (slope_neg - slope_pos))


def optimal_score(
    probability: float, *, gamma_pos: float, gamma_neg: float, margin: float, stop_gradient: bool = False
) -> float:
    """Return the score that minimizes the expected asymmetric loss at a given probability: the inverse of `true_probability`.

    `optimal_score(0.5, ...)` is the threshold that the loss itself suggests for "more likely than not": 0.636 with the
    paper's parameters. Found by bisection to 1e-12.

    Raises:
      InputError: a probability outside [0, 1].
    """
    if not 0 <= probability <= 1:
        raise InputError(f"probability={probability} is not in [0, 1].")
    low, high = margin, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        reached = true_probability(middle, gamma_pos=gamma_pos, gamma_neg=gamma_neg, margin=margin, stop_gradient=stop_gradient)
        low, high = (middle, high) if reached < probability else (low, middle)
    return (low + high) / 2


def fit_calibration(scores: npt.ArrayLike, labels: npt.ArrayLike) -> Calibration:
    """Fit Platt scaling: per genre, the maximum-likelihood sigmoid of the score's logit.

    probability = sigmoid(slope * logit(score) + intercept). Positive posters have the target (p + 1) / (p + 2), others
    1 / (m + 2), with p positive and m other posters, instead of 1 and 0, so the fit is finite for genres that the scores
    separate. Slopes are >= 0, so a higher score never maps to a lower probability: a genre whose scores do not rise with
    its labels (inverted ranking, equal scores, no positive poster) gets the slope 0, which means the same probability for
    every poster, the mean target.

    Args:
      scores: probabilities in [0, 1], [n, g], of the validation split.
      labels: multi-hot, [n, g].

    Raises:
      ValueError: arrays that `metrics.thresholds.check_labeled` refuses.

    References:
      Platt, "Probabilistic outputs for support vector machines and comparisons to regularized likelihood methods", 1999,
      for the form and the targets; Lin, Lin and Weng, "A note on Platt's probabilistic outputs for support vector machines",
      Machine Learning 68, 2007, for Newton's method with step halving. The bound on the slope is ours.
    """
    scores, labels = check_labeled(scores, labels)
    logits = _logit(scores)
    slope, intercept = zip(*(_fit_sigmoid(logits[:, g], labels[:, g]) for g in range(scores.shape[1])), strict=True)
    return {"slope": list(slope), "intercept": list(intercept)}


def calibrated(scores: npt.ArrayLike, calibration: Calibration) -> Float64[np.ndarray, "*n g"]:
    """Return the calibrated probabilities of scores [..., g], in the same shape."""
    slope, intercept = np.asarray(calibration["slope"]), np.asarray(calibration["intercept"])
    return special.expit(slope * _logit(np.asarray(scores, np.float64)) + intercept)


def _logit(scores: Float64[np.ndarray, "*n g"]) -> Float64[np.ndarray, "*n g"]:
    return special.logit(scores.clip(_SATURATED, 1 - _SATURATED))


def _fit_sigmoid(logits: Float64[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> tuple[float, float]:
    """Return slope and intercept of one genre."""
    positives = int(positive.sum())
    targets = np.where(positive, (positives + 1) / (positives + 2), 1 / (len(positive) - positives + 2))
    share, center, spread = targets.mean(), logits.mean(), logits.std()
    parameters = np.array([0.0, special.logit(share)])  # the optimum at slope 0
    if spread < _SAME:
        return 0.0, float(parameters[1])
    inputs = np.stack([(logits - center) / spread, np.ones(len(logits))], axis=1)
    if inputs[:, 0] @ (targets - share) <= 1e-12 * len(logits):  # the loss is convex and increases with the slope here
        return 0.0, float(parameters[1])

    def loss(parameters: Float64[np.ndarray, "2"]) -> float:
        z = inputs @ parameters
        return float(np.sum(np.logaddexp(0, z) - targets * z))

    for _ in range(100):
        p = special.expit(inputs @ parameters)
        gradient = inputs.T @ (p - targets)
        if np.abs(gradient).max() <= 1e-10 * len(logits):
            break
        hessian = (inputs * (p * (1 - p))[:, None]).T @ inputs + 1e-12 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        before = loss(parameters)
        while loss(parameters - step) > before + 1e-12 * abs(before):
            step = step / 2
        parameters = parameters - step
    slope = float(parameters[0] / spread)
    return slope, float(parameters[1] - slope * center)


def calibration_report(
    probabilities: Mapping[str, npt.ArrayLike], labels: npt.ArrayLike, *, genres: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return calibration errors and reliability bins of several probability estimates.

    Args:
      probabilities: estimates by name, in [0, 1], [n, g].
      labels: multi-hot, [n, g].
      genres: names of the g columns; None: the paper's, where there are thirteen.

    Returns:
      JSON-serializable, per name:

      - brier, ece: mean squared error and `expected_calibration_error`, averaged over the genres;
      - per_genre: {genre: {brier, ece}};
      - bins: for a reliability diagram, all genres pooled: "edges" [BINS + 1] of bins of equal width, and per bin "count",
        "mean_score" and "positive_share" (None where the count is 0). A value on an edge is in the bin above it, 1 in the
        last.

    Raises:
      ValueError: arrays that `metrics.thresholds.check_labeled` refuses, or names that do not fit them.
    """
    return {name: _describe(values, labels, genres) for name, values in probabilities.items()}


def _describe(probabilities: npt.ArrayLike, labels: npt.ArrayLike, genres: Sequence[str] | None) -> dict[str, Any]:
    probabilities, labels = check_labeled(probabilities, labels)
    genres = resolve_names(genres, labels.shape[1])
    briers = np.square(probabilities - labels).mean(axis=0)
    eces = expected_calibration_error(probabilities, labels)
    bin_of = _bins_of(probabilities, BINS).ravel()
    count = np.bincount(bin_of, minlength=BINS)
    totals = (np.bincount(bin_of, weights=values.ravel(), minlength=BINS) for values in (probabilities, labels))
    mean_score, positive_share = (
        [t / n if n else None for t, n in zip(total.tolist(), count.tolist(), strict=True)] for total in totals
    )
    return {
        "brier": float(briers.mean()),
        "ece": float(eces.mean()),
        "per_genre": {g: {"brier": b, "ece": e} for g, b, e in zip(genres, briers.tolist(), eces.tolist(), strict=True)},
        "bins": {
            "edges": (np.arange(BINS + 1) / BINS).tolist(),
            "count": count.tolist(),
            "mean_score": mean_score,
            "positive_share": positive_share,
        },
    }


def expected_calibration_error(
    scores: Float[np.ndarray, "n g"], labels: Shaped[np.ndarray, "n g"], *, bins: int = BINS
) -> Float64[np.ndarray, " g"]:
    """Return the expected calibration error (ECE) per genre.

    The scores of a genre are grouped into `bins` bins of equal width over [0, 1]; `|mean score - share of positives|` of each
    bin is weighted by its share of posters.

    Args:
      scores: probabilities in [0, 1].
      labels: multi-hot, of any type.
      bins: number of bins.

    Returns:
      Per genre, 0 for a perfectly calibrated genre, at most 1.

    References:
      Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, Eq. 3, for the binary decision of each genre.
    """
    n, genres = scores.shape
    bin_of = _bins_of(scores, bins) + bins * np.arange(genres)  # one block of bin numbers per genre
    gap = np.bincount(bin_of.ravel(), weights=(scores - labels).ravel(), minlength=genres * bins)
    return np.abs(gap).reshape(genres, bins).sum(axis=1) / n


def _bins_of(scores: Float[np.ndarray, "n g"], bins: int) -> Int[np.ndarray, "n g"]:
    """Return the bin index of each score, from 0; a score of 1 is in the last bin."""
    return np.minimum((scores * bins).astype(np.int64), bins - 1)
