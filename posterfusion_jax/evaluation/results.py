"""Results files: metrics, intervals, calibration and ablations of a split, with dataset, checkpoint and config."""

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import PAPER_GENRES, check_same_genres, list_names, read_genres
from posterfusion_jax.metrics.calibration import calibration_report
from posterfusion_jax.metrics.custom import compute_metrics
from posterfusion_jax.metrics.intervals import film_bootstrap
from posterfusion_jax.metrics.multilabel import film_scores, group_by_film, multilabel_report, sum_by_group
from posterfusion_jax.metrics.registry import Metric
from posterfusion_jax.utils.checksums import read_checked_json, with_checksum
from posterfusion_jax.utils.safe_arrays import load_npz

FORMAT = 4  # of results files; increment it with a change that older files must be written again for
_FIX = "Remove it, and write it again with --mode=evaluate."
BOOTSTRAP_SEED = 0  # of the intervals; equal for all systems, so that comparisons are paired


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitOutputs:
    """Hold the outputs of a model on one split, with its labels.

    Attributes:
      poster_ids: n names.
      film_ids: film of each poster, n names.
      genres: names of the g columns.
      labels: multi-hot.
      scores: scores of the posters.
      loss: mean over genres and posters.
      probabilities: estimates by name: "fitted", see `metrics.calibration.fit_calibration`, and "closed_form", see
        `metrics.calibration.true_probability`, unless that is the score itself.
      gates: see `evaluation.scoring.Scorer.gates`.
      controls: scores of the ablations, by name: "text_empty", "text_shuffled", "image_mean", "text_without_title".
    """

    poster_ids: Sequence[str]
    film_ids: Sequence[str]
    genres: Sequence[str] = PAPER_GENRES
    labels: UInt8[np.ndarray, "n g"]
    scores: Float[np.ndarray, "n g"]
    loss: float
    probabilities: Mapping[str, Float[np.ndarray, "n g"]]
    gates: Mapping[str, Float[np.ndarray, " _"]] = dataclasses.field(default_factory=dict)
    controls: Mapping[str, Float[np.ndarray, "n g"]] = dataclasses.field(default_factory=dict)

    def arrays(self) -> dict[str, Shaped[np.ndarray, "..."]]:
        """Return the arrays of the scores file; see `write_results`."""
        return {
            "poster_ids": np.array(self.poster_ids),
            "film_ids": np.array(self.film_ids),
            "scores": self.scores,
            "labels": self.labels,
            "genres": np.array(self.genres),
            **{f"control_{name}": scores for name, scores in self.controls.items()},
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResultOptions:
    """Hold how results are computed.

    Attributes:
      threshold: the fixed threshold, tau.
      force_top1: see `metrics.thresholds.apply_thresholds`.
      fitted: `metrics.thresholds.fit_thresholds` of the validation split.
      resamples: number of resamples of films, for the intervals.
      metrics: further metrics, by name; see `metrics.custom.compute_metrics`.
    """

    threshold: float
    force_top1: bool
    fitted: Mapping[str, Any]
    resamples: int
    metrics: Mapping[str, Metric] = dataclasses.field(default_factory=dict)


def make_results(outputs: SplitOutputs, options: ResultOptions, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results of one split.

    Args:
      outputs: outputs of the model.
      options: thresholds, metrics and resamples.
      about: dataset, checkpoint and config of the results, copied unchanged. Its "cut_texts" is the truncation rate of the
        texts of the split (texts, cut, share), null if the feature store did not record it.

    Returns:
      JSON-serializable: the entries of `about`, and "metrics" at the fixed threshold, "metrics_tuned",
      "metrics_tuned_per_genre", "metrics_by_film" (mean scores per film or other group, which has the labels of any of its
      posters; fixed threshold), "intervals" (95 %, films or groups resampled; for the first three); "common_threshold": the
      genres that have the common tuned threshold in "metrics_tuned_per_genre" for lack of positives in validation ("count",
      "genres", "min_positives"), absent for thresholds of earlier versions;
      "calibration": `metrics.calibration.calibration_report` of the scores ("raw") and of `outputs.probabilities`; on the
      validation split "fitted" is optimistic, because it was fitted there;
      "controls": per ablation the metrics at the three thresholds, without genres;
      "gates" of heads that have them: by name the mean, and the mean per genre if it differs between posters.
    """
    scores, labels, film_ids, genres = outputs.scores, outputs.labels, outputs.film_ids, outputs.genres
    threshold, force_top1 = options.threshold, options.force_top1
    tuned, per_genre = options.fitted["tuned"], options.fitted["tuned_per_genre"]
    rules = {"metrics": threshold, "metrics_tuned": tuned, "metrics_tuned_per_genre": np.asarray(per_genre)}
    report_of = functools.partial(multilabel_report, force_top1=force_top1, genres=genres)
    resampling = {"resamples": options.resamples, "seed": BOOTSTRAP_SEED}
    results = dict(about) | {
        "loss": outputs.loss,
        "films": len(set(film_ids)),
        "thresholds": {"fixed": threshold, "tuned": tuned, "tuned_per_genre": per_genre},
    }
    if "common" in options.fitted:
        names = [genres[g] for g in options.fitted["common"]]
        results["common_threshold"] = {
            "count": len(names),
            "genres": names,
            "min_positives": options.fitted["min_positives"],
        }
    for name, rule in rules.items():
        results[name] = report_of(scores, labels, threshold=rule)
    by_film, film_labels, _ = film_scores(scores, labels, film_ids, unite_labels="source" in about.get("dataset", {}))
    results["metrics_by_film"] = report_of(by_film, film_labels, threshold=threshold)
    results["intervals"] = {
        name: film_bootstrap(scores, labels, film_ids, threshold=rule, force_top1=force_top1, **resampling)
        for name, rule in rules.items()
    }
    own = compute_metrics(dict(options.metrics), scores, labels, film_ids, **resampling)
    for name, (value, interval) in own.items():
        if name in results["metrics"]:
            raise InputError(f"evaluate.metrics: {name!r} is the name of a metric that results have already. Choose another.")
        results["metrics"][name], results["intervals"]["metrics"][name] = value, interval
    results["calibration"] = calibration_report({"raw": scores, **outputs.probabilities}, labels, genres=genres)
    results["controls"] = {
        control: {name: _without_genres(report_of(changed, labels, threshold=rule)) for name, rule in rules.items()}
        for control, changed in outputs.controls.items()
    }
    if outputs.gates:
        results["gates"] = {name: _describe_gate(values, labels, genres) for name, values in outputs.gates.items()}
    return json.loads(json.dumps(results))


def _same_labels(labels: np.ndarray, film_ids: Sequence[str]) -> tuple[np.ndarray, int]:
    """Return the posters [n] whose film has the same labels on all posters, and the number of other films."""
    films, film_of = group_by_film(film_ids, len(labels))
    positives = sum_by_group(np.asarray(labels, float), film_of, len(films))
    mixed = np.any((positives > 0) & (positives < np.bincount(film_of)[:, None]), axis=1)
    return ~mixed[film_of], int(mixed.sum())


def _without_genres(report: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name != "per_genre"}


def _describe_gate(values: np.ndarray, labels: np.ndarray, genres: Sequence[str]) -> dict[str, Any]:
    described: dict[str, Any] = {"mean": float(values.mean())}
    if len(values) > 1:
        with_genre = {genre: values[labels[:, g] > 0] for g, genre in enumerate(genres)}
        described["per_genre"] = {genre: float(part.mean()) if len(part) else None for genre, part in with_genre.items()}
    return described


def write_results(folder: pathlib.Path, split: str, results: dict[str, Any], arrays: dict[str, Any]) -> pathlib.Path:
    """Write <split>_scores.npz, then <split>.json; return the path of the latter.

    Args:
      folder: folder of the results, created if missing.
      split: name of the split.
      results: see `make_results`.
      arrays: see `SplitOutputs.arrays`: poster_ids and film_ids [n], genres [g] (names of the columns), scores [n, g],
        labels [n, g], and for each name under results["controls"] the scores of that ablation, control_<name> [n, g].
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{split}_scores.partial.npz"
    np.savez(partial, **arrays)
    os.replace(partial, folder / f"{split}_scores.npz")
    path = folder / f"{split}.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(with_checksum(results), indent=1) + "\n")
    os.replace(partial, path)
    return path


def genres_of(results: Mapping[str, Any], *, place: object) -> tuple[str, ...]:
    """Return the genre names of a results file; files of earlier versions have them as keys only.

    Raises:
      InputError: the names are not a list of distinct strings.
    """
    if "genres" in results:
        return read_genres(results, place=place)
    return tuple(results.get("metrics", {}).get("per_genre", PAPER_GENRES))


def check_arrays(arrays: Mapping[str, np.ndarray], genres: Sequence[str], *, place: object) -> None:
    """Raise InputError if the arrays of a scores file have other genres than the results file, `genres`."""
    if "genres" in arrays:
        found = read_genres(arrays, place=place)
        check_same_genres(genres, found, place_here="the results", place_there=place)
    elif arrays["scores"].shape[1] != len(genres):
        columns = arrays["scores"].shape[1]
        raise InputError(f"{place} has scores of {columns} genres, its results file names {len(genres)}. {_FIX}")


def describe_common(results: Mapping[str, Any]) -> str | None:
    """Return the genres that have the common threshold for lack of positives as a sentence; None if none has."""
    common = results.get("common_threshold", {"count": 0})
    if not common["count"]:
        return None
    return (
        f"thresholds per genre: {common['count']} of {len(results['thresholds']['tuned_per_genre'])} genres have fewer than "
        f"{common['min_positives']} positives in validation and take the common tuned threshold: {list_names(common['genres'])}"
    )


def read_results(folder: pathlib.Path, split: str) -> dict[str, Any] | None:
    """Read the results file of a split; None without one. Raises InputError if it is damaged."""
    path = folder / f"{split}.json"
    return read_checked_json(path, fix=_FIX) if path.is_file() else None


def read_scores(folder: pathlib.Path, split: str) -> dict[str, np.ndarray]:
    """Read the arrays of a scores file. Raises InputError if it is missing or damaged."""
    return load_npz(
        folder / f"{split}_scores.npz", fix=f"Remove {folder / f'{split}.json'} and write both again with --mode=evaluate."
    )
