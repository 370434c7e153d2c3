"""Table of the results of many runs: one row per run, split and threshold rule, for spreadsheets and plots."""

import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from posterfusion_jax.evaluation.out_of_fold import RULES
from posterfusion_jax.utils.spreadsheet import write_csv

_SKIPPED = ("per_genre",)  # of a report: no scalar metric


def result_rows(results: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one row per threshold rule of a results file.

    Columns: those of `about`, seed, model, split, thresholds ("fixed", "tuned" or "tuned_per_genre"), epoch of the checkpoint,
    loss, every metric that is one number, and `<metric>_low` and `<metric>_high` of its 95 % interval.

    Args:
      results: of a split.
      about: further columns, the first ones, such as the values of a grid.
    """
    for rule, thresholds in RULES.items():
        if rule not in results:
            continue
        row = {
            **about,
            "seed": results["seed"],
            "model": results["model"],
            "split": results["split"],
            "thresholds": thresholds,
            "epoch": results["checkpoint"]["epoch"],
            "loss": results.get("loss"),
        }
        intervals = results.get("intervals", {}).get(rule, {})
        for name, value in results[rule].items():
            if name in _SKIPPED or isinstance(value, Mapping | list):
                continue
            row[name] = value
            if name in intervals:
                row[f"{name}_low"], row[f"{name}_high"] = intervals[name]
        yield row


def write_runs(path: pathlib.Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows, with the columns that any of them has; a column that a row lacks is empty there."""
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    write_csv(path, columns, ([row.get(name) for name in columns] for row in rows))
