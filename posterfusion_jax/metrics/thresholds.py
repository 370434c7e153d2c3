"""Decision rule from scores to genres (Eq. 10 of the paper), and thresholds tuned on validation posters."""

from typing import TypedDict

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float64

from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import NUM_GENRES

FIXED = 0.5  # the paper's tau


class Thresholds(TypedDict):
    """Hold the thresholds of the three decision rules; see `fit_thresholds`."""

    fixed: float
    tuned: float
    tuned_per_genre: list[float]


def apply_thresholds(
    scores: npt.ArrayLike, threshold: float | npt.ArrayLike, *, force_top1: bool = False
) -> Bool[np.ndarray, "n g"]:
    """Return the predicted genres: those whose score is strictly above the threshold (Eq. 10).

    Args:
      scores: probabilities in [0, 1], [n, g] with g = NUM_GENRES.
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
    if limits.shape not in ((), (NUM_GENRES,)):
        raise InputError(f"threshold has the shape {limits.shape}; give one number, or {NUM_GENRES} numbers in genre order.")
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
      "tuned_per_genre": g thresholds, each with the best F1 of its genre. A genre without a positive poster has F1 0 at
      every threshold and gets the "tuned" one.

    Raises:
      ValueError: arrays that `check_labeled` refuses.
    """
    scores, labels = check_labeled(scores, labels)
    candidates = _midpoints(scores)
    macro_f1 = np.mean([_f1_at(scores[:, g], labels[:, g], candidates) for g in range(NUM_GENRES)], axis=0)
    tuned = _best(candidates, macro_f1)
    per_genre = []
    for g in range(NUM_GENRES):
        own = _midpoints(scores[:, g])
        per_genre.append(_best(own, _f1_at(scores[:, g], labels[:, g], own)) if labels[:, g].any() else tuned)
    return {"fixed": FIXED, "tuned": tuned, "tuned_per_genre": per_genre}


def check_scores(scores: npt.ArrayLike) -> Float64[np.ndarray, "n g"]:
    """Return the scores in float64, with g = NUM_GENRES.

    Raises:
      ValueError: another shape, no poster, NaN, or a value outside [0, 1] (logits, most likely).
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or scores.shape[1] != NUM_GENRES:
        raise ValueError(f"scores have the shape {scores.shape}; they must be [posters, {NUM_GENRES}].")
    if not len(scores):
        raise ValueError("scores hold no posters (shape [0, 13]): there is nothing to measure.")
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
