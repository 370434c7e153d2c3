"""Multi-label metrics as the paper defines them, from whole-split scores or from counts, in float64.

0/0 is 0 everywhere: a genre that is never predicted has precision 0, one without a positive poster recall and F1 0
(`zero_division=0` in scikit-learn). Macro F1 is therefore given twice: over all genres, as the paper has it, and over those
with a positive poster. Figures are fractions; the paper prints percentages, except for Hamming loss.
"""

import functools
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Float64, Int, Real, Shaped

from posterfusion_jax.genres import FEWEST, list_names, resolve_names
from posterfusion_jax.metrics.calibration import expected_calibration_error
from posterfusion_jax.metrics.thresholds import apply_thresholds, check_labeled

Report = dict[str, Any]
Values = Any  # np.ndarray, or np.number where NumPy sums the only axis
POSTER_MEASURES = ("f1_samples", "ba_samples", "hit_ratio", "subset_accuracy")  # means over posters


class Counts(NamedTuple):
    """Hold true positives, false negatives, false positives and true negatives: arrays of one shape."""

    tp: Shaped[Values, "*r"]
    fn: Shaped[Values, "*r"]
    fp: Shaped[Values, "*r"]
    tn: Shaped[Values, "*r"]

    def sum(self, axis: int) -> "Counts":
        """Return the counts summed over an axis."""
        return Counts(*(count.sum(axis) for count in self))

    def total(self) -> Shaped[Values, "*r"]:
        """Return the number of decisions, in the shape of the counts."""
        return self.tp + self.fn + self.fp + self.tn


def multilabel_report(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    threshold: float | npt.ArrayLike = 0.5,
    force_top1: bool = False,
    genres: Sequence[str] | None = None,
) -> Report:
    """Return all metrics of one set of posters.

    Args:
      scores: probabilities in [0, 1], [n, g], in the order of `genres`.
      labels: multi-hot, [n, g].
      threshold: one number, or one per genre; a genre is predicted where its score is strictly above (Eq. 10).
      force_top1: see `metrics.thresholds.apply_thresholds`.
      genres: names of the g columns; None: the paper's, where there are thirteen.

    Returns:
      A JSON-serializable dictionary: the entries of `report_from_counts`, and

      - f1_samples, ba_samples: F1 and balanced accuracy over the g decisions of each poster, averaged over the posters;
      - hit_ratio: share of posters whose top-scored genre is present, independent of the threshold (ties: the first in
        genre order);
      - subset_accuracy: share of posters with all g decisions right;
      - mean_average_precision, roc_auc_macro: means over the genres that have a positive poster (and, for the latter,
        a negative one); 0 if no genre has;
      - brier, ece: mean squared error and expected calibration error of the scores as probabilities, averaged over the
        genres;
      - in each entry of per_genre: average_precision and roc_auc (None where undefined), brier and ece.

      Genres without a positive poster are named in one logged warning.

    Raises:
      InputError: a threshold outside [0, 1] or of the wrong shape.
      ValueError: no posters, wrong shapes, NaN, scores outside [0, 1], labels that are not multi-hot, or no names for them.

    References:
      The paper, "Evaluation Metrics" and Tables I, II and IV. The averages of F1 are scikit-learn's `f1_score`.
    """
    scores, labels = check_labeled(scores, labels)
    predicted = apply_thresholds(scores, threshold, force_top1=force_top1)

    report = report_from_counts(*outcomes(predicted, labels).sum(axis=0), genres=genres)
    by_poster = poster_measures(scores, predicted, labels).mean(axis=0)
    report |= dict(zip(POSTER_MEASURES, by_poster.tolist(), strict=True))

    precisions = average_precisions(scores, labels, np.ones((1, len(scores))))[0]
    areas = np.array([_roc_auc(scores[:, g], labels[:, g]) for g in range(labels.shape[1])])
    briers = np.square(scores - labels).mean(axis=0)
    eces = expected_calibration_error(scores, labels)
    report |= {
        "mean_average_precision": float(mean_of_defined(precisions)),
        "roc_auc_macro": float(mean_of_defined(areas)),
        "brier": float(briers.mean()),
        "ece": float(eces.mean()),
    }
    for g, measures in enumerate(report["per_genre"].values()):
        measures |= {
            "average_precision": _or_none(precisions[g]),
            "roc_auc": _or_none(areas[g]),
            "brier": float(briers[g]),
            "ece": float(eces[g]),
        }
    return report


def report_from_counts(
    tp: npt.ArrayLike, fn: npt.ArrayLike, fp: npt.ArrayLike, tn: npt.ArrayLike, *, genres: Sequence[str] | None = None
) -> Report:
    """Return the metrics that depend on the counts per genre only.

    Args:
      tp: true positives, integers >= 0, [g], in the order of `genres`; the four counts of each genre have the same sum.
      fn: false negatives, [g].
      fp: false positives, [g].
      tn: true negatives, [g].
      genres: names of the g columns; None: the paper's, where there are thirteen.

    Returns:
      - f1_macro, ba_macro: unweighted means over the genres; BA = balanced accuracy = (recall + specificity) / 2;
      - f1_macro_present: mean F1 of the genres with a positive poster, equal to f1_macro if each has one; 0 if none has;
      - labels_present: number of genres with a positive poster; absent: the names of the others;
      - f1_micro, ba_micro: from the counts pooled over the genres;
      - f1_weighted, ba_weighted: means over the genres weighted by their number of positive posters;
      - hamming_loss: share of wrong decisions among posters x genres;
      - num_posters;
      - per_genre: {genre: {precision, recall, f1, balanced_accuracy, specificity, support}}, support being the number
        of positive posters.

    Raises:
      ValueError: wrong shapes, negative or fractional counts, totals that differ, or no posters.
    """
    counts = Counts(*(np.asarray(count) for count in (tp, fn, fp, tn)))
    shapes = {name: count.shape for name, count in counts._asdict().items()}
    if len(set(shapes.values())) > 1 or counts.tp.ndim != 1 or len(counts.tp) < FEWEST:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"the counts have the shapes {found}; each must be [g], with g = {FEWEST} labels or more.")
    genres = resolve_names(genres, len(counts.tp))
    for name, count in counts._asdict().items():
        if not np.all((count >= 0) & (count == np.floor(count))):
            raise ValueError(f"{name} must be {len(genres)} whole numbers >= 0, one per genre; got {count.tolist()}.")
    counts = Counts(*(count.astype(np.int64) for count in counts))  # 2 tp must not overflow a narrow type
    totals = counts.total()
    if not np.all(totals == totals[0]):
        raise ValueError(f"tp + fn + fp + tn must be the same number of posters for each genre; got {totals.tolist()}.")
    if totals[0] == 0:
        raise ValueError("all counts are 0: there are no posters to report on.")
    support = counts.tp + counts.fn
    present = support > 0
    absent = [genre for genre, there in zip(genres, present, strict=True) if not there]
    if absent:
        _warn_once(f"No poster among {totals[0]} has the genre {list_names(absent)}: recall and F1 count as 0 in the averages.")
    by_genre = decision_measures(counts) | {"support": support}
    return {
        **{name: float(value) for name, value in average_measures(counts).items()},
        "f1_macro_present": float(f1_macro_present(counts, present)),
        "labels_present": int(present.sum()),
        "absent": absent,
        "num_posters": int(totals[0]),
        "per_genre": {genre: {name: values[g].item() for name, values in by_genre.items()} for g, genre in enumerate(genres)},
    }


def outcomes(predicted: Bool[np.ndarray, "n g"], labels: Bool[np.ndarray, "n g"]) -> Counts:
    """Return the outcome of each decision: four boolean arrays in the shape of the arguments."""
    return Counts(tp=predicted & labels, fn=~predicted & labels, fp=predicted & ~labels, tn=~predicted & ~labels)


def decision_measures(counts: Counts) -> dict[str, Float64[Values, "*r"]]:
    """Return precision, recall, F1, balanced accuracy and specificity, each in the shape of the counts."""
    tp, fn, fp, tn = counts
    recall = _ratio(tp, tp + fn)
    specificity = _ratio(tn, tn + fp)
    return {
        "precision": _ratio(tp, tp + fp),
        "recall": recall,
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "balanced_accuracy": (recall + specificity) / 2,
        "specificity": specificity,
    }


def average_measures(counts: Counts) -> dict[str, Float64[Values, "*r"]]:
    """Return the macro, micro and weighted averages and the Hamming loss: from counts [..., g] to arrays [...]."""
    by_genre = decision_measures(counts)
    pooled = decision_measures(counts.sum(-1))
    support = counts.tp + counts.fn
    weights = _ratio(support, support.sum(-1, keepdims=True))
    averages = {}
    for short, name in (("f1", "f1"), ("ba", "balanced_accuracy")):
        averages[f"{short}_macro"] = by_genre[name].mean(-1)
        averages[f"{short}_micro"] = pooled[name]
        averages[f"{short}_weighted"] = (weights * by_genre[name]).sum(-1)
    averages["hamming_loss"] = _ratio((counts.fn + counts.fp).sum(-1), counts.total().sum(-1))
    return averages


def f1_macro_present(counts: Counts, present: Bool[np.ndarray, " g"]) -> Float64[Values, "*r"]:
    """Return the mean F1 of the genres marked by `present`, 0 without one: from counts [..., g] to arrays [...]."""
    f1 = decision_measures(counts)["f1"]
    if present.all():
        return f1.mean(-1)  # to the bit the mean over all
    return f1[..., present].sum(-1) / max(present.sum(), 1)


def poster_measures(
    scores: Float[np.ndarray, "n g"], predicted: Bool[np.ndarray, "n g"], labels: Bool[np.ndarray, "n g"]
) -> Float64[np.ndarray, "n 4"]:
    """Return `POSTER_MEASURES` per poster."""
    measures = decision_measures(outcomes(predicted, labels).sum(axis=1))
    hits = labels[np.arange(len(labels)), scores.argmax(axis=1)]
    all_right = (predicted == labels).all(axis=1)
    return np.stack([measures["f1"], measures["balanced_accuracy"], hits, all_right], axis=1)


def average_precisions(
    scores: Float[np.ndarray, "n g"], labels: Bool[np.ndarray, "n g"], weights: Real[np.ndarray, "r n"]
) -> Float64[np.ndarray, "r g"]:
    """Return the average precision per genre for weighted posters, such as resamples of posters.

    Average precision is the sum over distinct scores of (gain in recall) * precision, as in scikit-learn.

    Args:
      scores: any numbers that rank the posters.
      labels: True where the genre is present.
      weights: weight of each poster, >= 0, one row per resample.

    Returns:
      One row per resample; NaN where a genre has no positive poster of any weight.
    """
    weights = np.ascontiguousarray(weights.T, np.float64)
    columns = []
    for g in range(scores.shape[1]):
        order = np.argsort(-scores[:, g])
        falling = -scores[order, g]
        hits = np.flatnonzero(labels[order, g])
        last = np.searchsorted(falling, falling[hits], side="right") - 1  # tied scores are accepted together
        of_order = weights[order]
        gain = of_order[hits]
        accepted = of_order.cumsum(axis=0)[last]
        right = gain.cumsum(axis=0)[np.searchsorted(hits, last, side="right") - 1]
        total = gain.sum(axis=0)
        columns.append(np.where(total > 0, _ratio((gain * _ratio(right, accepted)).sum(axis=0), total), np.nan))
    return np.stack(columns, axis=1)


def mean_of_defined(values: Float64[np.ndarray, "*r g"]) -> Float64[Values, "*r"]:
    """Return means over the last axis that ignore NaN, 0 where all are NaN."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0).sum(-1), defined.sum(-1))


def film_scores(
    scores: npt.ArrayLike, labels: npt.ArrayLike, film_ids: Sequence[str], *, unite_labels: bool = False
) -> tuple[Float64[np.ndarray, "films g"], Bool[np.ndarray, "films g"], list[str]]:
    """Return one row per film: the mean of the scores of its posters.

    Args:
      scores: probabilities in [0, 1], [n, g].
      labels: multi-hot, [n, g], the same for all posters of a film.
      film_ids: n names, in any order.
      unite_labels: a film (or other group) has the labels of any of its posters, which may differ.

    Returns:
      Scores, labels and the film names, sorted by name.

    Raises:
      ValueError: arrays that do not fit together, or posters of one film with different labels without `unite_labels`.
    """
    scores, labels = check_labeled(scores, labels)
    films, film_of = group_by_film(film_ids, len(scores))
    totals = sum_by_group(scores, film_of, len(films))
    positives = sum_by_group(labels, film_of, len(films))
    sizes = np.bincount(film_of)[:, None]
    mixed = ((positives > 0) & (positives < sizes)).any(axis=1)
    if mixed.any() and not unite_labels:
        raise ValueError(f"the posters of the film {films[int(mixed.argmax())]} have different labels.")
    return totals / sizes, positives > 0, films


def group_by_film(film_ids: Sequence[str], posters: int) -> tuple[list[str], Int[np.ndarray, " {posters}"]]:
    """Return the sorted distinct films and the film index of each poster. Raises ValueError on a wrong length."""
    if len(film_ids) != posters:
        raise ValueError(f"{len(film_ids)} film_ids do not fit {posters} posters.")
    films, film_of = np.unique(np.asarray(film_ids), return_inverse=True)
    return films.tolist(), film_of


def sum_by_group(
    rows: Shaped[np.ndarray, "n k"], group_of: Int[np.ndarray, " n"], groups: int
) -> Float64[np.ndarray, "{groups} k"]:
    """Return the sum of the rows of each group."""
    totals = np.zeros((groups, rows.shape[1]))
    np.add.at(totals, group_of, rows)
    return totals


@functools.cache  # training makes a report after each epoch
def _warn_once(message: str) -> None:
    logging.getLogger(__name__).warning(message)


def _ratio(numerator: Shaped[Values, "*r"], denominator: Shaped[Values, "*#r"]) -> Float64[Values, "*r"]:
    """Return numerator / denominator with 0/0 := 0; the numerator is part of the denominator, so x/0 cannot occur."""
    return numerator / np.where(denominator == 0, 1, denominator)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _roc_auc(scores: Float64[np.ndarray, " n"], positives: Bool[np.ndarray, " n"]) -> float:
    """Return the area under the ROC curve, ties counting half; NaN without a positive or without a negative."""
    if positives.all() or not positives.any():
        return np.nan
    order = np.argsort(-scores)
    ends = np.append(np.diff(scores[order]) != 0, True)  # tied scores are accepted together
    tp = np.append(0, positives[order].cumsum()[ends])
    fp = np.append(0, (~positives[order]).cumsum()[ends])
    return float(np.trapezoid(tp / tp[-1], fp / fp[-1]))
