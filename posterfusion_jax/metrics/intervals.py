"""Confidence intervals: film-clustered bootstrap, paired differences of two systems, t-intervals over seeds.

Posters of one film share their genres and much of their picture, so they are not independent observations: films are
drawn with replacement, each with all its posters. Thresholds are taken as given; the uncertainty of thresholds tuned on
other posters is not included. In a resample without a positive poster of a genre, F1 and recall of that genre are 0 and
mean average precision excludes it, as in `metrics.multilabel`; this matters only for test sets of a few dozen films.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64, Int
from scipy import special

from posterfusion_jax.errors import InputError
from posterfusion_jax.metrics.multilabel import (
    POSTER_MEASURES,
    Counts,
    average_measures,
    average_precisions,
    f1_macro_present,
    group_by_film,
    mean_of_defined,
    outcomes,
    poster_measures,
    sum_by_group,
)
from posterfusion_jax.metrics.thresholds import apply_thresholds, check_labeled

CONFIDENCE = 0.95
_BLOCK = 100  # resamples per block where memory grows with resamples x posters


@dataclasses.dataclass(frozen=True, eq=False)
class ThresholdedScores:
    """Hold the scores of a system with the threshold of its decisions.

    Attributes:
      scores: probabilities in [0, 1], [n, g], or [s, n, g] with s seeds.
      threshold: see `metrics.thresholds.apply_thresholds`; with several seeds one number for all, or a sequence of s
        thresholds, one per seed.
    """

    scores: npt.ArrayLike
    threshold: float | npt.ArrayLike = 0.5


class PairedDifference(NamedTuple):
    """Hold a metric of two systems a and b, and its difference a - b with interval and p-value."""

    a: float  # on the original sample, like b and the difference
    b: float
    difference: float
    low: float
    high: float
    p_value: float  # two-sided


class SeedInterval(NamedTuple):
    """Hold the mean over runs that differ in the seed, with its 95 % interval."""

    mean: float
    std: float  # sample standard deviation, n - 1 in the denominator
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
    """Return 95 % percentile intervals of the metrics, by resampling films.

    Args:
      scores: probabilities in [0, 1], [n, g].
      labels: multi-hot, [n, g].
      film_ids: film of each poster, n names.
      threshold: one number or one per genre, see `metrics.thresholds.apply_thresholds`.
      force_top1: see `metrics.thresholds.apply_thresholds`.
      resamples: number of bootstrap samples, at least 100.
      seed: seed of the resampling; draws depend on seed and films only, not on the scores.

    Returns:
      (low, high) by metric: the F1 and balanced accuracy averages, f1_macro_present (over the genres with a positive poster
      in the whole split), hamming_loss, hit_ratio, subset_accuracy and mean_average_precision, named as in
      `metrics.multilabel.multilabel_report`.

    Raises:
      InputError: fewer than two films, fewer than 100 resamples, or an unusable threshold.
      ValueError: arrays that do not fit together.

    References:
      Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; resampling whole clusters: Davison and
      Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8.
    """
    films, draws = _draw_films(film_ids, len(np.asarray(labels)), resamples, seed)
    drawn = _measures(scores, labels, films, draws, threshold, force_top1)
    return {name: percentile_interval(values[1:]) for name, values in drawn.items()}


def paired_difference(
    scores_a: npt.ArrayLike | ThresholdedScores,
    scores_b: npt.ArrayLike | ThresholdedScores,
    labels: npt.ArrayLike,
    film_ids: Sequence[str],
    *,
    force_top1: bool = False,
    paired_seeds: bool = False,
    resamples: int = 1000,
    seed: int,
) -> dict[str, PairedDifference]:
    """Return the metrics of system a minus those of system b, on the same posters and the same resamples of films.

    The metric of a system with several seeds is the mean over its seeds. Each resample then also draws seeds, with
    replacement and independently per system, so that the interval covers both the sample of films and the sample of seeds.
    With s seeds the spread between seeds is underestimated by a factor of sqrt(1 - 1/s).

    Args:
      scores_a: probabilities of system a in [0, 1], [n, g], or [s, n, g] with s seeds, decided at 0.5; or these as
        `ThresholdedScores`, with another threshold.
      scores_b: those of system b for the same posters in the same order; its number of seeds may differ.
      labels: multi-hot, [n, g].
      film_ids: film of each poster, n names.
      force_top1: see `metrics.thresholds.apply_thresholds`.
      paired_seeds: draw the same seeds for both, because seed k of both is one training (a system and the same system with
        changed input).
      resamples: number of bootstrap samples, at least 100; the p-value is at least 2 / (resamples + 1).
      seed: seed of the resampling.

    Returns:
      Per metric of `film_bootstrap`, the figures of both systems on the original sample, the difference, its 95 % percentile
      interval, and a two-sided p-value: twice the share of resamples on the rarer side of 0 (those at 0 count on both
      sides; at most 1).

    Raises:
      InputError: see `film_bootstrap`; also `paired_seeds` with unequal numbers of seeds.
      ValueError: see `film_bootstrap`; also a number of thresholds other than one per seed.

    References:
      Rows (films) and columns (seeds) drawn independently of each other: Owen, "The pigeonhole bootstrap", Annals of Applied
      Statistics 1(2), 2007.
    """
    films, draws = _draw_films(film_ids, len(np.asarray(labels)), resamples, seed)
    drawn_a, drawn_b = (
        _measures_of_seeds(
            scores if isinstance(scores, ThresholdedScores) else ThresholdedScores(scores), labels, films, draws, force_top1
        )
        for scores in (scores_a, scores_b)
    )
    seeds_a, seeds_b = (next(iter(drawn.values())).shape[1] for drawn in (drawn_a, drawn_b))
    if paired_seeds and seeds_a != seeds_b:
        raise InputError(f"paired_seeds needs the same number of seeds in both systems; there are {seeds_a} and {seeds_b}.")
    rng = np.random.default_rng([seed, 1])  # a stream separate from that of the films
    shares_a = _draw_seeds(rng, seeds_a, resamples)
    shares_b = shares_a if paired_seeds else _draw_seeds(rng, seeds_b, resamples)
    result = {}
    for name in drawn_a:
        a, b = (drawn_a[name] * shares_a).sum(axis=1), (drawn_b[name] * shares_b).sum(axis=1)
        differences = (a - b)[1:]
        rarer = min(np.sum(differences <= 0), np.sum(differences >= 0))
        result[name] = PairedDifference(
            float(a[0]),
            float(b[0]),
            float(a[0] - b[0]),
            *percentile_interval(differences),
            p_value=min(1.0, float(2 * (rarer + 1) / (resamples + 1))),
        )
    return result


def seed_interval(values: Sequence[float]) -> SeedInterval:
    """Return mean, standard deviation and 95 % t-interval of a metric over runs with different seeds.

    Args:
      values: one figure per run, at least two.

    Raises:
      InputError: fewer than two values, or one that is not finite.
    """
    runs = np.asarray(values, np.float64)
    if runs.ndim != 1 or len(runs) < 2 or not np.isfinite(runs).all():
        raise InputError(
            f"an interval over seeds needs at least two finite figures, one per run; got {runs.tolist()}. Train with "
            "another seed."
        )
    mean, std = float(runs.mean()), float(runs.std(ddof=1))
    half = float(special.stdtrit(len(runs) - 1, (1 + CONFIDENCE) / 2)) * std / len(runs) ** 0.5
    return SeedInterval(mean, std, mean - half, mean + half, len(runs))


def resampled_ratios(
    numerators: npt.ArrayLike, denominators: npt.ArrayLike, film_ids: Sequence[str], *, resamples: int = 1000, seed: int
) -> Float64[np.ndarray, "{resamples}+1 k"]:
    """Return ratios of sums over posters, such as words found to words wanted, in bootstrap resamples of films.

    Args:
      numerators: per poster, [n, k].
      denominators: per poster, [n, k]; each column sums to more than 0.
      film_ids: film of each poster, n names.
      resamples: number of bootstrap samples, at least 100.
      seed: seed of the resampling; the same seed and films give the same draws.

    Returns:
      One row per sample, first the original one. NaN where the denominators of a resample sum to 0.

    Raises:
      InputError: fewer than two films, or fewer than 100 resamples.
      ValueError: arrays that do not fit together.
    """
    numerators, denominators = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    if numerators.ndim != 2 or numerators.shape != denominators.shape:
        raise ValueError(f"numerators {numerators.shape} and denominators {denominators.shape} must be [n, k] alike.")
    films, draws = _draw_films(film_ids, len(numerators), resamples, seed)
    above, below = (draws @ sum_by_group(counts, films, draws.shape[1]) for counts in (numerators, denominators))
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def resample_rows(film_ids: Sequence[str], *, resamples: int, seed: int) -> Iterator[Int[np.ndarray, " rows"]]:
    """Yield the rows of each resample of films, a film that is drawn twice with its rows twice.

    Args:
      film_ids: the film of each poster, n names.
      resamples: number of bootstrap samples, at least 100.
      seed: of the resampling; the draws are those of `film_bootstrap`.

    Raises:
      InputError: fewer than two films, or fewer than 100 resamples.
    """
    film_of, draws = _draw_films(film_ids, len(film_ids), resamples, seed)
    for counts in draws[1:].astype(np.int64):
        yield np.repeat(np.arange(len(film_of)), counts[film_of])


def percentile_interval(values: Float64[np.ndarray, " r"]) -> tuple[float, float]:
    """Return the 95 % percentile interval of resampled values."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)


def _draw_films(
    film_ids: Sequence[str], posters: int, resamples: int, seed: int
) -> tuple[Int[np.ndarray, " {posters}"], Float64[np.ndarray, "{resamples}+1 films"]]:
    """Return the film index of each poster and the counts per film: first all ones, then drawn."""
    if resamples < 100:
        raise InputError(f"resamples={resamples} is too few for a 95 % interval; take at least 100, better 1000.")
    names, film_of = group_by_film(film_ids, posters)
    films = len(names)
    if films < 2:
        raise InputError(
            "intervals resample groups of posters and need at least two of them; "
            f"all {posters} posters are of {' '.join(names)}."
        )
    rng = np.random.default_rng(seed)
    draws = [np.bincount(rng.integers(films, size=films), minlength=films) for _ in range(resamples)]
    return film_of, np.stack([np.ones(films, int), *draws]).astype(np.float64)


def _draw_seeds(rng: np.random.Generator, seeds: int, resamples: int) -> Float64[np.ndarray, "{resamples}+1 {seeds}"]:
    """Return the weight of each seed, rows of sum 1: first equal weights, then drawn ones."""
    draws = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    return np.concatenate([np.ones((1, seeds)), draws]) / seeds


def _measures_of_seeds(
    system: ThresholdedScores,
    labels: npt.ArrayLike,
    film_of: Int[np.ndarray, " n"],
    draws: Float64[np.ndarray, "r films"],
    force_top1: bool,
) -> dict[str, Float64[np.ndarray, "r s"]]:
    """Return `_measures` of scores [n, g] or [s, n, g], by metric."""
    scores, thresholds = np.asarray(system.scores), np.asarray(system.threshold, np.float64)
    if scores.ndim != 3:
        scores, thresholds = scores[None], thresholds[None]
    elif thresholds.ndim == 0:
        thresholds = np.full(len(scores), thresholds)
    if len(thresholds) != len(scores) or not len(scores):
        raise ValueError(f"{len(thresholds)} thresholds do not fit the scores of {len(scores)} seeds; give one per seed.")
    by_seed = [_measures(of, labels, film_of, draws, t, force_top1) for of, t in zip(scores, thresholds, strict=True)]
    return {name: np.stack([measures[name] for measures in by_seed], axis=1) for name in by_seed[0]}


def _measures(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    film_of: Int[np.ndarray, " n"],
    draws: Float64[np.ndarray, "r films"],
    threshold: float | npt.ArrayLike,
    force_top1: bool,
) -> dict[str, Float64[np.ndarray, " r"]]:
    """Return the metrics of posters weighted by the film counts in each row of `draws`."""
    scores, labels = check_labeled(scores, labels)
    predicted = apply_thresholds(scores, threshold, force_top1=force_top1)
    # Everything that is summed over posters: four counts per genre, the per-poster measures, the number of posters.
    measures = poster_measures(scores, predicted, labels)
    rows = np.concatenate([*outcomes(predicted, labels), measures, np.ones((len(scores), 1))], axis=1)
    sums = draws @ sum_by_group(rows, film_of, draws.shape[1])
    genres = labels.shape[1]
    counts = Counts(*(sums[:, i * genres : (i + 1) * genres] for i in range(4)))
    means = sums[:, 4 * genres : -1] / sums[:, -1:]
    blocks = [draws[start : start + _BLOCK, film_of] for start in range(0, len(draws), _BLOCK)]
    precision = [mean_of_defined(average_precisions(scores, labels, block)) for block in blocks]
    return {
        **average_measures(counts),
        "f1_macro_present": f1_macro_present(counts, labels.sum(axis=0) > 0),
        **{name: means[:, i] for i, name in enumerate(POSTER_MEASURES)},
        "mean_average_precision": np.concatenate(precision),
    }
