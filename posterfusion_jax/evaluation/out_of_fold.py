"""Out-of-fold metrics of a cross-validation: each poster scored once, by the model that did not see it."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from posterfusion_jax.datasets.imdb_posters.report import unit_of
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.results import BOOTSTRAP_SEED, check_arrays, genres_of
from posterfusion_jax.genres import check_same_genres
from posterfusion_jax.metrics.constant import constant_measures
from posterfusion_jax.metrics.intervals import film_bootstrap
from posterfusion_jax.metrics.multilabel import multilabel_report
from posterfusion_jax.metrics.thresholds import apply_thresholds

FORMAT = 1  # of the file of out-of-fold metrics
MEASURES = ("f1_macro", "f1_micro", "hit_ratio", "hamming_loss", "mean_average_precision")
RULES = {"metrics": "fixed", "metrics_tuned": "tuned", "metrics_tuned_per_genre": "tuned_per_genre"}  # -> key of thresholds
POOLING = (
    "mAP of the pooled posters ranks posters of different folds against each other, although their scores are of different "
    "models, which need not agree on what a score means. The mean over folds ranks within each fold only, leaves out labels "
    "that the fold has no positive poster of, and is biased upwards where a fold has few positive posters of a label: there "
    "even a random ranking has a higher average precision than the label's share. So the pooled one is often the lower. F1 of "
    "the pooled posters comes from the sums of the counts of all folds, and is less biased than the mean of the folds' F1 "
    "where a label has few positive posters per fold."
)
_BY_RANK = ("hit_ratio", "mean_average_precision", "roc_auc_macro", "brier", "ece")  # of scores, not of decisions


class FoldOutputs(NamedTuple):
    """Hold the results file of a fold's test split, and the arrays of its scores file."""

    fold: int
    results: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


class PooledScores(NamedTuple):
    """Hold the test scores of all folds, fold after fold.

    Attributes:
      folds: the fold of each poster, n numbers.
      decisions: by key of results ("metrics", ...), with each fold's own thresholds.
    """

    poster_ids: list[str]
    film_ids: list[str]
    folds: list[int]
    genres: tuple[str, ...]
    scores: Float[np.ndarray, "n g"]
    labels: UInt8[np.ndarray, "n g"]
    decisions: Mapping[str, Bool[np.ndarray, "n g"]]


def pool_folds(outputs: Sequence[FoldOutputs], *, poster_ids: Sequence[str]) -> PooledScores:
    """Concatenate the test scores of all folds.

    Args:
      outputs: one per fold, at least one.
      poster_ids: all posters of the dataset.

    Raises:
      InputError: results of another fold, dataset or labels, or a poster that is not tested exactly once.
    """
    first = outputs[0]
    genres = genres_of(first.results, place=f"fold {first.fold}")
    for output in outputs:
        place = f"the results of fold {output.fold}"
        check_same_genres(genres, genres_of(output.results, place=place), place_here="the results of fold 0", place_there=place)
        check_arrays(output.arrays, genres, place=place)
        found, same = output.results["dataset"]["split"].get("fold"), first.results["dataset"]["row_hash"]
        if found != output.fold or output.results["dataset"]["row_hash"] != same:
            raise InputError(
                f"{place} are of fold {found} of the dataset {output.results['dataset']['row_hash'][:12]}, where fold "
                f"{output.fold} of {same[:12]} is needed. Remove its folder, and run the folds again."
            )
    tested = [poster for output in outputs for poster in output.arrays["poster_ids"].tolist()]
    _check_tested_once(tested, poster_ids)
    return PooledScores(
        poster_ids=tested,
        film_ids=[film for output in outputs for film in output.arrays["film_ids"].tolist()],
        folds=[output.fold for output in outputs for _ in output.arrays["poster_ids"]],
        genres=genres,
        scores=np.concatenate([output.arrays["scores"] for output in outputs]),
        labels=np.concatenate([output.arrays["labels"] for output in outputs]),
        decisions={
            rule: np.concatenate([_decide(output, threshold) for output in outputs]) for rule, threshold in RULES.items()
        },
    )


def out_of_fold_results(outputs: Sequence[FoldOutputs], pooled: PooledScores, *, resamples: int) -> dict[str, Any]:
    """Return the metrics of a cross-validation.

    Args:
      outputs: one per fold.
      pooled: of `pool_folds`.
      resamples: number of resamples of groups for the intervals, at least 100.

    Returns:
      JSON-serializable: "folds", "posters", "groups", "genres", "model", "seed", "dataset", "thresholds" (per fold); for each
      rule of `RULES` the metrics of the pooled posters, as in a results file; "intervals" (95 %, groups resampled) of
      `MEASURES` per rule; "over_folds" per rule and metric of `MEASURES` {"values", "mean", "std"}; "constant"
      (`metrics.constant.constant_measures`); "pooling": why pooled and mean figures differ.

    Raises:
      InputError: fewer than two groups, or fewer than 100 resamples.
    """
    first, labels, films = outputs[0].results, pooled.labels, pooled.film_ids
    bootstrap = functools.partial(film_bootstrap, labels=labels, film_ids=films, resamples=resamples, seed=BOOTSTRAP_SEED)
    ranked = multilabel_report(pooled.scores, labels, genres=pooled.genres)
    ranked_intervals = bootstrap(pooled.scores)
    results: dict[str, Any] = {
        "format": FORMAT,
        "folds": len(outputs),
        "posters": len(labels),
        "groups": len(set(films)),
        "genres": list(pooled.genres),
        "model": first["model"],
        "seed": first["seed"],
        "dataset": _describe_dataset(first["dataset"]),
        "encoders": first["encoders"],
        "thresholds": [dict(output.results["thresholds"]) for output in outputs],
        "intervals": {},
        "over_folds": {},
    }
    for rule in RULES:
        decided = pooled.decisions[rule].astype(np.float64)  # its own scores, decided at 0.5
        report = multilabel_report(decided, labels, threshold=0.5, genres=pooled.genres)
        intervals = bootstrap(decided, threshold=0.5)
        results[rule] = _with_ranked(report, ranked)
        results["intervals"][rule] = {
            name: list((ranked_intervals if name in _BY_RANK else intervals)[name]) for name in MEASURES
        }
        results["over_folds"][rule] = {
            name: _over_folds([output.results[rule][name] for output in outputs]) for name in MEASURES
        }
    return {**results, "constant": constant_measures(labels), "pooling": POOLING}


def format_out_of_fold(results: Mapping[str, Any]) -> str:
    """Return the figures as lines: pooled with interval, mean and deviation over folds, best constant answer; in per cent."""
    units = f"{unit_of(results['dataset'])}s" if "source" in results["dataset"] else "groups"
    lines = [
        f"{results['posters']:,} posters of {results['groups']:,} {units}, each tested once, in {results['folds']} folds",
        f"{'':<16}{'out of fold':>26}{'mean over folds':>18}{'best constant':>16}",
    ]
    for rule, threshold in RULES.items():
        lines.append(f"{threshold} thresholds")
        for name in MEASURES:
            scale, digits = (1, 4) if name == "hamming_loss" else (100, 2)
            value, (low, high) = scale * results[rule][name], results["intervals"][rule][name]
            over, constant = results["over_folds"][rule][name], scale * results["constant"][name]
            pooled = f"{value:.{digits}f} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"
            spread = f"{scale * over['mean']:.{digits}f} ± {scale * over['std']:.{digits}f}"
            lines.append(f"  {_TITLES[name]:<14}{pooled:>26}{spread:>18}{constant:>16.{digits}f}")
    return "\n".join(lines)


_TITLES = {
    "f1_macro": "macro F1 %",
    "f1_micro": "micro F1 %",
    "hit_ratio": "hit ratio %",
    "hamming_loss": "Hamming loss",
    "mean_average_precision": "mAP %",
}


def _decide(output: FoldOutputs, threshold: str) -> Bool[np.ndarray, "n g"]:
    """Return the decisions on a fold's test posters at its own threshold."""
    force_top1 = output.results["evaluate"]["force_top1"]
    return apply_thresholds(output.arrays["scores"], output.results["thresholds"][threshold], force_top1=force_top1)


def _check_tested_once(tested: Sequence[str], poster_ids: Sequence[str]) -> None:
    twice = len(tested) - len(set(tested))
    missing, unknown = sorted(set(poster_ids) - set(tested)), sorted(set(tested) - set(poster_ids))
    if twice or missing or unknown:
        first = "".join(f", such as {names[0]!r}" for names in (missing or unknown,) if names)
        raise InputError(
            f"the folds do not test each poster once: {twice} are tested again, {len(missing)} are not tested, {len(unknown)} "
            f"are not in the dataset{first}. Remove the results of all folds, and run the folds again."
        )


def _with_ranked(report: dict[str, Any], ranked: dict[str, Any]) -> dict[str, Any]:
    """Return a report of decisions with the metrics of the scores themselves."""
    entries = {
        genre: {
            **entry,
            **{name: ranked["per_genre"][genre][name] for name in ("average_precision", "roc_auc", "brier", "ece")},
        }
        for genre, entry in report["per_genre"].items()
    }
    return {**report, **{name: ranked[name] for name in _BY_RANK}, "per_genre": entries}


def _over_folds(values: list[float]) -> dict[str, Any]:
    """Return mean and sample standard deviation over folds, whose trainings share posters: no standard error follows."""
    return {"values": values, "mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0}


def _describe_dataset(dataset: Mapping[str, Any]) -> dict[str, Any]:
    split = {name: value for name, value in dataset["split"].items() if name != "fold"}
    source = {"source": dataset["source"]} if "source" in dataset else {}
    return {"row_hash": dataset["row_hash"], "split": split, **source}
