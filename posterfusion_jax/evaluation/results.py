"""Results files: metrics, intervals, calibration and ablations of a split, with dataset, checkpoint and config."""

import functools
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import GENRES, PAPER_GENRES, check_same_genres, read_genres
from posterfusion_jax.metrics.calibration import calibration_report
from posterfusion_jax.metrics.custom import compute_metrics
from posterfusion_jax.metrics.intervals import film_bootstrap
from posterfusion_jax.metrics.multilabel import film_scores, multilabel_report
from posterfusion_jax.metrics.registry import Metric
from posterfusion_jax.utils.checksums import read_checked_json, with_checksum
from posterfusion_jax.utils.safe_arrays import load_npz

FORMAT = 4  # of results files; increment it with any addition, so that older files are written again
_FIX = "Remove it, and write it again with --mode=evaluate."
BOOTSTRAP_SEED = 0  # of the intervals; equal for all systems, so that comparisons are paired


def make_results(
    scores: np.ndarray,
    labels: np.ndarray,
    film_ids: Sequence[str],
    *,
    loss: float,
    threshold: float,
    force_top1: bool,
    thresholds: dict[str, Any],
    metrics: Mapping[str, Metric] = MappingProxyType({}),
    probabilities: dict[str, np.ndarray],
    resamples: int,
    gates: dict[str, np.ndarray],
    controls: dict[str, np.ndarray],
    about: dict[str, Any],
    genres: Sequence[str] = GENRES,
) -> dict[str, Any]:
    """Return the results of one split.

    Args:
      scores: float [n, g].
      labels: uint8 [n, g].
      film_ids: film of each poster, n names.
      loss: mean over genres and posters.
      threshold: the fixed threshold, tau.
      force_top1: see `metrics.thresholds.apply_thresholds`.
      thresholds: `metrics.thresholds.fit_thresholds` of the validation split.
      metrics: further ones, by name; see `metrics.custom.compute_metrics`.
      probabilities: estimates [n, g] by name: "fitted", see `metrics.calibration.fit_calibration`, and "closed_form", see
        `metrics.calibration.true_probability`, unless that is the score itself.
      resamples: number of resamples of films, for the intervals.
      gates: see `evaluation.scoring.gates_of_split`.
      controls: scores [n, g] of the ablations, by name: "text_empty", "text_shuffled", "image_mean", "text_without_title".
      about: dataset, checkpoint and config of the results, copied unchanged. Its "cut_texts" is the truncation rate of the
        texts of the split (texts, cut, share), null if the feature store did not record it.
      genres: names of the g columns.

    Returns:
      JSON-serializable: the entries of `about`, and "metrics" at the fixed threshold, "metrics_tuned",
      "metrics_tuned_per_genre", "metrics_by_film" (mean scores per film, fixed threshold), "intervals" (95 %, films
      resampled; for the first three);
      "calibration": `metrics.calibration.calibration_report` of the scores ("raw") and of `probabilities`; on the validation
      split "fitted" is optimistic, because it was fitted there;
      "controls": per ablation the metrics at the three thresholds, without genres;
      "gates" of heads that have them: by name the mean, and the mean per genre if it differs between posters.
    """
    rules = {
        "metrics": threshold,
        "metrics_tuned": thresholds["tuned"],
        "metrics_tuned_per_genre": np.asarray(thresholds["tuned_per_genre"]),
    }
    report_of = functools.partial(multilabel_report, labels=labels, force_top1=force_top1, genres=genres)
    results = dict(about) | {
        "loss": loss,
        "films": len(set(film_ids)),
        "thresholds": {"fixed": threshold, **_tuned(thresholds)},
    }
    for name, rule in rules.items():
        results[name] = report_of(scores, threshold=rule)
    by_film, film_labels, _ = film_scores(scores, labels, film_ids)
    results["metrics_by_film"] = multilabel_report(
        by_film, film_labels, threshold=threshold, force_top1=force_top1, genres=genres
    )
    results["intervals"] = {
        name: film_bootstrap(
            scores, labels, film_ids, threshold=rule, force_top1=force_top1, resamples=resamples, seed=BOOTSTRAP_SEED
        )
        for name, rule in rules.items()
    }
    own = compute_metrics(dict(metrics), scores, labels, film_ids, resamples=resamples, seed=BOOTSTRAP_SEED)
    for name, (value, interval) in own.items():
        if name in results["metrics"]:
            raise InputError(f"evaluate.metrics: {name!r} is the name of a metric that results have already. Choose another.")
        results["metrics"][name], results["intervals"]["metrics"][name] = value, interval
    results["calibration"] = calibration_report({"raw": scores, **probabilities}, labels, genres=genres)
    results["controls"] = {
        control: {name: _without_genres(report_of(changed, threshold=rule)) for name, rule in rules.items()}
        for control, changed in controls.items()
    }
    if gates:
        results["gates"] = {name: _describe_gate(values, labels, genres) for name, values in gates.items()}
    return json.loads(json.dumps(results))


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
      arrays: poster_ids and film_ids [n], genres [g] (names of the columns), scores [n, g], labels [n, g], and for each
        name under results["controls"] the scores of that ablation, control_<name> [n, g].
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


def read_results(folder: pathlib.Path, split: str) -> dict[str, Any] | None:
    """Read the results file of a split; None without one. Raises InputError if it is damaged."""
    path = folder / f"{split}.json"
    return read_checked_json(path, fix=_FIX) if path.is_file() else None


def read_scores(folder: pathlib.Path, split: str) -> dict[str, np.ndarray]:
    """Read the arrays of a scores file. Raises InputError if it is missing or damaged."""
    return load_npz(
        folder / f"{split}_scores.npz", fix=f"Remove {folder / f'{split}.json'} and write both again with --mode=evaluate."
    )


def _tuned(thresholds: dict[str, Any]) -> dict[str, Any]:
    return {name: thresholds[name] for name in ("tuned", "tuned_per_genre")}
