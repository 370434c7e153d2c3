"""Scores and thresholds to a results file that a sceptic can check: metrics, intervals, and what they are metrics of."""

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
from posterfusion_jax.metrics.intervals import film_bootstrap
from posterfusion_jax.metrics.multilabel import film_scores, multilabel_report
from posterfusion_jax.metrics.registry import Metric, compute_metrics
from posterfusion_jax.utils.checksums import read_checked_json, with_checksum
from posterfusion_jax.utils.safe_arrays import load_npz

FORMAT = 4  # of results files: raise it with anything that is added, and files of before are written anew
_FIX = "Remove it, and make it anew with --mode=evaluate."
BOOTSTRAP_SEED = 0  # of the intervals; equal for all systems, so that they may be compared pair by pair


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
    """All that is published of one split.

    Args:
      scores: float [n, 13]; labels: uint8 [n, 13]; film_ids: n names.
      loss: mean over genres and posters.
      threshold: the fixed one, tau.
      force_top1: see `metrics.thresholds.apply_thresholds`.
      thresholds: as `metrics.thresholds.fit_thresholds` found them on the validation split.
      metrics: further ones, by name; see `metrics.registry.compute_metrics`.
      probabilities: [n, 13], what the scores stand for, by the name of the way to tell: "fitted", see
        `metrics.calibration.fit_calibration`, and "closed_form", see `metrics.calibration.true_probability`, unless that is the score itself.
      resamples: of films, for the intervals.
      gates: see `evaluation.scoring.gates_of_split`.
      controls: scores [n, 13] of the same posters with changed input, by name: "text_empty", "text_shuffled",
        "image_mean", "text_without_title".
      about: what these are results of; goes in unchanged. "cut_texts" there is the truncation rate of the split's texts (texts,
        cut, share), null where the features did not note it.
      genres: names of the columns.

    Returns:
      JSON-able: `about`'s entries, and "metrics" at the fixed threshold, "metrics_tuned", "metrics_tuned_per_genre",
      "metrics_by_film" (a film's mean scores, fixed threshold), "intervals" (95 %, films resampled; for the first three);
      "calibration": `metrics.calibration.calibration_report` of the scores themselves ("raw") and of `probabilities`; on the
      validation split "fitted" flatters, because it was fitted there;
      "controls": by name the metrics with changed input, for the three thresholds, without genres;
      "gates" of heads that have them: by name the mean, and over the posters of each genre if it differs between posters.
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
    """Writes <split>_scores.npz, and then <split>.json; returns the latter's path.

    Args:
      arrays: poster_ids and film_ids [n], genres [13] (names of the columns), scores [n, 13], labels [n, 13], and for each
        name under results["controls"] the scores with that input, control_<name> [n, 13].
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
    """The names of the genres of a results file; one of before they were noted has them as keys.

    Raises:
      InputError: the names are no list of different strings.
    """
    if "genres" in results:
        return read_genres(results, place=place)
    return tuple(results.get("metrics", {}).get("per_genre", PAPER_GENRES))


def check_arrays(arrays: Mapping[str, np.ndarray], genres: Sequence[str], *, place: object) -> None:
    """Raises InputError where the arrays beside a results file are those of other genres than the file's, `genres`."""
    if "genres" in arrays:
        found = read_genres(arrays, place=place)
        check_same_genres(genres, found, place_here="the results", place_there=place)
    elif arrays["scores"].shape[1] != len(genres):
        columns = arrays["scores"].shape[1]
        raise InputError(f"{place} has scores of {columns} genres, the results beside it name {len(genres)}. {_FIX}")


def read_results(folder: pathlib.Path, split: str) -> dict[str, Any] | None:
    """The results file of a split, or None where there is none. Raises InputError where it is damaged."""
    path = folder / f"{split}.json"
    return read_checked_json(path, fix=_FIX) if path.is_file() else None


def read_scores(folder: pathlib.Path, split: str) -> dict[str, np.ndarray]:
    """The arrays beside a results file. Raises InputError where they are missing or damaged."""
    return load_npz(
        folder / f"{split}_scores.npz", fix=f"Remove {folder / f'{split}.json'} and write both anew with --mode=evaluate."
    )


def _tuned(thresholds: dict[str, Any]) -> dict[str, Any]:
    return {name: thresholds[name] for name in ("tuned", "tuned_per_genre")}
