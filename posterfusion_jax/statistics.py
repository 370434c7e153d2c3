"""How sure a figure is: film-clustered bootstrap intervals, paired differences of two systems, intervals over seeds.

Posters of one film share their genres and much of their picture, so they are not independent observations: films are
drawn with replacement, each with all its posters. Thresholds are taken as given; those tuned on other posters carry an
uncertainty of their own that is not counted here. In a resample without a positive poster of some genre that genre's F1
and recall are 0, as in `metrics`, which matters only for test sets of a few dozen films.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import NUM_GENRES
from posterfusion_jax.metrics import (
    POSTER_MEASURES,
    Counts,
    average_measures,
    group_by_film,
    outcomes,
    poster_measures,
    sum_by_group,
)
from posterfusion_jax.thresholds import apply_thresholds, check_labels, check_scores

CONFIDENCE = 0.95


class PairedDifference(NamedTuple):
    """How much higher a metric is for system a than for system b."""

    difference: float  # on the posters as they are
    low: float
    high: float
    p_value: float  # two-sided


class SeedInterval(NamedTuple):
    """Mean over runs that differ in the seed, with its 95 % interval."""

    mean: float
    std: float  # of a single run: n - 1 in the denominator
    low: float
    high: float
    runs: int


def film_bootstrap(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    film_ids: Sequence[str],
    *,
    threshold: float | npt.ArrayLike = 0.5,
    force_top1: bool = False,
    resamples: int = 1000,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals of the metrics, by resampling films.

    Args:
      scores: probabilities in [0, 1], [n, 13].
      labels: multi-hot, [n, 13].
      film_ids: the film of each poster, n names.
      threshold, force_top1: see `thresholds.apply_thresholds`.
      resamples: number of bootstrap samples, at least 100.
      seed: of the resampling; the same seed and films give the same draws, whatever the scores.

    Returns:
      (low, high) for the F1 and balanced accuracy averages, hamming_loss, hit_ratio and subset_accuracy, named as in
      `metrics.multilabel_report`.

    Raises:
      InputError: fewer than two films, fewer than 100 resamples, or an unusable threshold.
      ValueError: arrays that do not fit together.

    References:
      Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; resampling whole clusters: Davison and
      Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8.
    """
    table = _film_table(scores, labels, film_ids, threshold, force_top1)
    drawn = _measures(_resample(table, resamples, seed))
    return {name: _percentile_interval(values) for name, values in drawn.items()}


def paired_difference(
    scores_a: npt.ArrayLike,
    scores_b: npt.ArrayLike,
    labels: npt.ArrayLike,
    film_ids: Sequence[str],
    *,
    threshold_a: float | npt.ArrayLike = 0.5,
    threshold_b: float | npt.ArrayLike = 0.5,
    force_top1: bool = False,
    resamples: int = 1000,
    seed: int,
) -> dict[str, PairedDifference]:
    """Metric of system a minus metric of system b, on the same posters and in the same resamples of films.

    Args:
      scores_a, scores_b: probabilities in [0, 1], [n, 13], row for row the same posters.
      labels: multi-hot, [n, 13].
      film_ids: the film of each poster, n names.
      threshold_a, threshold_b: of either system, see `thresholds.apply_thresholds`; likewise `force_top1`.
      resamples: number of bootstrap samples, at least 100; the p-value cannot fall below 2 / (resamples + 1).
      seed: of the resampling.

    Returns:
      For each metric of `film_bootstrap` the difference, its 95 % percentile interval, and a two-sided p-value: twice
      the share of resamples on the rarer side of 0 (those at 0 count on both sides; at most 1).

    Raises:
      InputError, ValueError: see `film_bootstrap`.
    """
    table_a = _film_table(scores_a, labels, film_ids, threshold_a, force_top1)
    table_b = _film_table(scores_b, labels, film_ids, threshold_b, force_top1)
    width = table_a.shape[1]
    both = np.concatenate([table_a, table_b], axis=1)
    drawn = _resample(both, resamples, seed)
    drawn_a, drawn_b = _measures(drawn[:, :width]), _measures(drawn[:, width:])
    as_is_a, as_is_b = _measures(table_a.sum(axis=0)), _measures(table_b.sum(axis=0))
    result = {}
    for name in drawn_a:
        differences = drawn_a[name] - drawn_b[name]
        rarer = min(np.sum(differences <= 0), np.sum(differences >= 0))
        result[name] = PairedDifference(
            float(as_is_a[name] - as_is_b[name]),
            *_percentile_interval(differences),
            p_value=min(1.0, float(2 * (rarer + 1) / (resamples + 1))),
        )
    return result


def seed_interval(values: Sequence[float]) -> SeedInterval:
    """Mean, standard deviation and 95 % t-interval of a metric over runs with different seeds.

    Args:
      values: one figure a run, at least two.

    Raises:
      InputError: fewer than two values, or one that is not finite.
    """
    runs = np.asarray(values, np.float64)
    if runs.ndim != 1 or len(runs) < 2 or not np.isfinite(runs).all():
        raise InputError(
            f"an interval over seeds needs at least two finite figures, one a run; got {runs.tolist()}. Train with "
            "another seed."
        )
    mean, std = float(runs.mean()), float(runs.std(ddof=1))
    half = float(special.stdtrit(len(runs) - 1, (1 + CONFIDENCE) / 2)) * std / len(runs) ** 0.5
    return SeedInterval(mean, std, mean - half, mean + half, len(runs))


def _film_table(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    film_ids: Sequence[str],
    threshold: float | npt.ArrayLike,
    force_top1: bool,
) -> np.ndarray:
    """A row a film of what adds up over posters: the four counts of each genre, the measures of posters, their number."""
    scores = check_scores(scores)
    labels = check_labels(labels, scores)
    predicted = apply_thresholds(scores, threshold, force_top1=force_top1)
    films, film_of = group_by_film(film_ids, len(scores))
    if len(films) < 2:
        raise InputError(f"resampling films needs at least two of them; all {len(scores)} posters are of {films[0]}.")
    measures = poster_measures(scores, predicted, labels)
    rows = np.concatenate([*outcomes(predicted, labels), measures, np.ones((len(scores), 1))], axis=1)
    return sum_by_group(rows, film_of, len(films))


def _resample(table: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Sums of the table over films drawn with replacement: [films, k] to [resamples, k]."""
    if resamples < 100:
        raise InputError(f"resamples={resamples} is too few for a 95 % interval; take at least 100, better 1000.")
    films = len(table)
    rng = np.random.default_rng(seed)
    return np.stack([np.bincount(rng.integers(films, size=films), minlength=films) @ table for _ in range(resamples)])


def _measures(sums: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics of sums [..., k] of the rows that `_film_table` makes, each [...]."""
    counts = Counts(*(sums[..., i * NUM_GENRES : (i + 1) * NUM_GENRES] for i in range(4)))
    means = sums[..., 4 * NUM_GENRES : -1] / sums[..., -1:]
    return average_measures(counts) | {name: means[..., i] for i, name in enumerate(POSTER_MEASURES)}


def _percentile_interval(values: np.ndarray) -> tuple[float, float]:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
