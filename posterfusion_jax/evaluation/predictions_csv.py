"""Table of a model's scores, one row per poster, for spreadsheets and other programs."""

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped

from posterfusion_jax.evaluation.results import genres_of
from posterfusion_jax.metrics.calibration import Calibration, calibrated
from posterfusion_jax.metrics.thresholds import apply_thresholds
from posterfusion_jax.utils.spreadsheet import write_csv

_RULE = "tuned_per_genre"  # recommended where results recommend none


def predictions_path(folder: pathlib.Path, split: str) -> pathlib.Path:
    """Return the table's place in a folder of results."""
    return folder / f"predictions_{split}.csv"


def recommended_rule(results: Mapping[str, Any]) -> str:
    """Return the rule whose threshold decides in tables: a key of `results["thresholds"]`."""
    recommended = results["thresholds"].get("recommended", _RULE)
    return recommended if recommended in results["thresholds"] else _RULE


def write_predictions(
    folder: pathlib.Path,
    results: Mapping[str, Any],
    arrays: Mapping[str, Shaped[np.ndarray, "..."]],
    *,
    titles: Sequence[str],
    calibration: Calibration,
) -> pathlib.Path:
    """Write the table of one split and return its path.

    Columns: poster, group, title, thresholds (the rule of the decisions, `recommended_rule`), and per label
    `score:<label>`, `truth:<label>` (0 or 1), `probability:<label>` (calibrated on validation) and `decision:<label>` (0 or 1).

    Args:
      folder: folder of the results.
      results: results of the split.
      arrays: arrays of its scores file, see `results.write_results`.
      titles: n titles, "" where there is none.
      calibration: fitted on the validation split.
    """
    rule = recommended_rule(results)
    scores, force_top1 = arrays["scores"], results["evaluate"]["force_top1"]
    decisions = apply_thresholds(scores, results["thresholds"][rule], force_top1=force_top1)
    leading = {
        "poster": arrays["poster_ids"].tolist(),
        "group": arrays["film_ids"].tolist(),
        "title": titles,
        "thresholds": [rule] * len(scores),
    }
    by_label = {
        "score": scores,
        "truth": arrays["labels"].astype(int),
        "probability": calibrated(scores, calibration).astype(np.float32),
        "decision": decisions.astype(int),
    }
    path = predictions_path(folder, results["split"])
    write_table(path, leading, by_label, labels=genres_of(results, place=folder))
    return path


def write_table(
    path: pathlib.Path,
    leading: Mapping[str, Sequence[Any]],
    by_label: Mapping[str, Shaped[np.ndarray, "n g"]],
    *,
    labels: Sequence[str],
) -> None:
    """Write a table with one row per poster.

    Args:
      path: of the table.
      leading: name -> n values, the first columns.
      by_label: name -> values, the columns `<name>:<label>`.
      labels: g names.
    """
    header = [*leading, *(f"{name}:{label}" for name in by_label for label in labels)]

    def rows() -> Iterator[list[Any]]:
        for place, first in enumerate(zip(*leading.values(), strict=True)):
            yield [*first, *(_shortest(value) for values in by_label.values() for value in values[place])]

    write_csv(path, header, rows())


def _shortest(value: Any) -> Any:
    """Return a number so that it is written with the digits that its type needs: 0.1, not 0.10000000149."""
    return float(str(value)) if isinstance(value, np.floating) else int(value)
