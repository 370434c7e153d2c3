"""Decision rule from scores to genres (Eq. 10 of the paper), and thresholds tuned on validation posters."""

from typing import NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float64

from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import FEWEST

FIXED = 0.5  # the paper's tau
MIN_POSITIVES = 20  # positive posters that a label needs for a threshold of its own, see `fit_thresholds`
_TOLERANCE = 1e-9  # of macro F1 from running sums, above their rounding
_BLOCK = 1 << 20  # thresholds evaluated at a time


class Thresholds(TypedDict):
    """Hold the thresholds of the three decision rules; see `fit_thresholds`.

    Checkpoints of earlier versions lack `min_positives` and `common`.
    """

    fixed: float
    tuned: float
    tuned_per_genre: list[float]
    min_positives: NotRequired[int]
    common: NotRequired[list[int]]


def apply_thresholds(
    scores: npt.ArrayLike, threshold: float | npt.ArrayLike, *, force_top1: bool = False
) -> Bool[np.ndarray, "n g"]:
    """Return the predicted genres: those whose score is strictly above the threshold (Eq. 10).

    Args:
      scores: probabilities in [0, 1], [n, g].
      threshold: one number for all genres, or one per genre, [g]. Compared in float64.
      force_top1: predict the top-scored genre for posters without a score above the threshold (ties: the first in genre
        order).

    Returns:
      True where the genre is predicted.

    Raises:
      InputError: a threshold outside [0, 1], or neither one number nor one per genre.
      ValueError: scores that `check_scores` refuses.
    """
    scores = check_scores(scores)
    limits = np.asarray(threshold, np.float64)
    labels = scores.shape[1]
    if limits.shape not in ((), (labels,)):
        raise InputError(f"threshold has the shape {limits.shape}; give one number, or {labels} numbers in genre order.")
    if not np.all((limits >= 0) & (limits <= 1)):
        raise InputError(f"threshold={threshold} is outside [0, 1], the range of the scores. The paper has 0.5.")
    predicted = scores > limits
    if force_top1:
        without = ~predicted.any(axis=1)
        predicted[without, scores[without].argmax(axis=1)] = True
    return predicted


def fit_thresholds(scores: npt.ArrayLike, labels: npt.ArrayLike) -> Thresholds:
    """Return the paper's threshold and the thresholds with the best F1 on the given posters (use the validation split).

    All thresholds between two adjacent scores give the same decisions, so the midpoints between adjacent scores are tried
    (with 0 and 1 as the ends). Among thresholds with the same F1 the one nearest to 0.5 is chosen, then the lower.

    Args:
      scores: probabilities in [0, 1], [n, g].
      labels: multi-hot, [n, g].

    Returns:
      "fixed": 0.5;
      "tuned": one threshold for all genres, with the best macro F1;
      "tuned_per_genre": g thresholds, each with the best F1 of its genre if that has `min_positives` positive posters,
      otherwise the "tuned" one;
      "min_positives": `MIN_POSITIVES`, and "common": columns of the genres that got the "tuned" threshold for that reason.

      On drawn calibrated scores of 13 labels with 60 to 500 validation posters (600 draws, log odds shifted per label with a
      standard deviation of 0.3), own thresholds changed a label's F1 on new posters by -2.1 points below 5 positives, -0.7
      at 5 to 9, -0.4 at 10 to 19, +0.4 at 20 to 49 and +0.7 from 50 on: hence the 20.

    Raises:
      ValueError: arrays that `check_labeled` refuses.
    """
    scores, labels = check_labeled(scores, labels)
    tuned = _best_common(scores, labels)
    positives = labels.sum(axis=0)
    per_genre = []
    for g in range(scores.shape[1]):
        own = _midpoints(scores[:, g]) if positives[g] >= MIN_POSITIVES else None
        per_genre.append(tuned if own is None else _best(own, _f1_at(scores[:, g], labels[:, g], own)))
    return {
        "fixed": FIXED,
        "tuned": tuned,
        "tuned_per_genre": per_genre,
        "min_positives": MIN_POSITIVES,
        "common": np.flatnonzero(positives < MIN_POSITIVES).tolist(),
    }


def check_scores(scores: npt.ArrayLike) -> Float64[np.ndarray, "n g"]:
    """Return the scores in float64.

    Raises:
      ValueError: not [n, g], fewer than two labels, no poster, NaN, or a value outside [0, 1] (logits, most likely).
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or scores.shape[1] < FEWEST:
        raise ValueError(f"scores have the shape {scores.shape}; they must be [posters, labels], with {FEWEST} labels or more.")
    if not len(scores):
        raise ValueError(f"scores hold no posters (shape {scores.shape}): there is nothing to measure.")
    if np.isnan(scores).any():
        bad = np.isnan(scores).any(axis=1)
        raise ValueError(f"scores are NaN for {bad.sum()} of {len(scores)} posters, first at row {bad.argmax()}.")
    if scores.min() < 0 or scores.max() > 1:
        raise ValueError(
            f"scores are in [{scores.min():.4g}, {scores.max():.4g}]; they must be probabilities in [0, 1]. Apply the "
            "sigmoid to logits first."
        )
    return scores


def check_labeled(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Float64[np.ndarray, "n g"], Bool[np.ndarray, "n g"]]:
    """Return the scores as float64 and their multi-hot labels as bool.

    Raises:
      ValueError: scores that `check_scores` refuses, or labels of another shape or with a value other than 0 and 1.
    """
    scores = check_scores(scores)
    labels = np.asarray(labels)
    if labels.shape != scores.shape:
        raise ValueError(f"labels have the shape {labels.shape}, the scores {scores.shape}; they must be the same.")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels hold values other than 0 and 1; they must be multi-hot.")
    return scores, labels.astype(bool)


def _best_common(scores: Float64[np.ndarray, "n g"], labels: Bool[np.ndarray, "n g"]) -> float:
    """Return the midpoint with the best macro F1.

    Running sums over all scores give the macro F1 at all midpoints up to rounding, in time and memory of n g; the few near
    the maximum are then evaluated exactly, because ties matter.
    """
    present = np.flatnonzero(labels.any(axis=0))
    candidates = _midpoints(scores)
    if not len(present):
        return float(candidates[np.abs(candidates - FIXED).argmin()])
    steps = [_f1_steps(scores[:, g], labels[:, g]) for g in present]
    places = np.concatenate([place for place, _ in steps])
    order = places.argsort(kind="stable")
    rough = np.append(0.0, np.concatenate([change for _, change in steps])[order].cumsum())
    rough = rough[np.searchsorted(places[order], candidates, side="right")]
    near = candidates[rough >= rough.max() - _TOLERANCE * len(present)]
    macro_f1 = [_macro_f1_at(scores, labels, near[start : start + _BLOCK]) for start in range(0, len(near), _BLOCK)]
    return _best(near, np.concatenate(macro_f1))


def _f1_steps(
    scores: Float64[np.ndarray, " n"], positives: Bool[np.ndarray, " n"]
) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Return the ascending scores of one genre, and by how much its F1 changes when the threshold reaches each of them."""
    order = scores.argsort()
    positives_from = np.append(positives[order][::-1].cumsum()[::-1], 0)
    f1 = 2 * positives_from / (len(scores) - np.arange(len(scores) + 1) + positives.sum())
    return scores[order], np.diff(f1)


def _macro_f1_at(
    scores: Float64[np.ndarray, "n g"], labels: Bool[np.ndarray, "n g"], thresholds: Float64[np.ndarray, " t"]
) -> Float64[np.ndarray, " t"]:
    total = np.zeros(len(thresholds))
    for g in range(scores.shape[1]):
        total += _f1_at(scores[:, g], labels[:, g], thresholds)
    return total / scores.shape[1]


def _midpoints(scores: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, " t"]:
    """Return the midpoints between adjacent distinct scores, ascending."""
    edges = np.unique(np.append(scores, (0.0, 1.0)))
    return (edges[:-1] + edges[1:]) / 2


def _f1_at(
    scores: Float64[np.ndarray, " n"], positives: Bool[np.ndarray, " n"], thresholds: Float64[np.ndarray, " t"]
) -> Float64[np.ndarray, " t"]:
    """Return the F1 of one genre at each threshold; 0 without a positive and a prediction."""
    order = scores.argsort()
    # Position k in the sorted scores: all from k on are above the threshold.
    k = np.searchsorted(scores[order], thresholds, side="right")
    positives_from = np.append(positives[order][::-1].cumsum()[::-1], 0)
    true_positives, predicted = positives_from[k], len(scores) - k
    return 2 * true_positives / np.maximum(predicted + positives.sum(), 1)


def _best(thresholds: Float64[np.ndarray, " t"], values: Float64[np.ndarray, " t"]) -> float:
    tied = thresholds[values == values.max()]
    return float(tied[np.abs(tied - FIXED).argmin()])
