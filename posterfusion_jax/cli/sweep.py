"""Train a grid of configs over several seeds, and print means and deviations.

    posterfusion sweep --config=quickstart --root=runs/sweep --seeds=0,1,2 \\
        --grid=model.name=fusion,image_only,text_only \\
        --share=data.posters_dir,data.dataset_dir --out=sweep.json

Finished runs are skipped. Flags after "--" apply to every run. With frozen
encoders the seeds of a cell train in one program. A cell that fails is
reported and the others continue; the exit status is then 1.

ROOT/runs.csv has one row per run, evaluated split and threshold rule, with the
config, the values of the grid, the seed and every metric with its interval.
"""

import argparse
import csv
import hashlib
import itertools
import json
import os
import pathlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from posterfusion_jax.cli.program import FAILED, make_command
from posterfusion_jax.config.run import Run, load
from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.aggregate import aggregate_seeds, format_aggregates
from posterfusion_jax.evaluation.results import read_results
from posterfusion_jax.evaluation.runs_csv import result_rows, write_runs
from posterfusion_jax.pipeline.multi_seed import results_of, run_seeds, seed_list
from posterfusion_jax.utils.console import print_message
from posterfusion_jax.utils.user_path import path_argument, quote_path

RUNS_FILE = "runs.csv"
_LONGEST_NAME = 255  # bytes


class _Swept(NamedTuple):
    """Hold what a sweep found.

    Attributes:
      cells: name of the cell -> its summary.
      rows: of all runs, see `evaluation.runs_csv.result_rows`.
      failed: one line for each cell that failed.
    """

    cells: dict[str, Any]
    rows: list[dict[str, Any]]
    failed: list[str]


def _run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    parser.add_argument("--config", required=True)
    parser.add_argument(
        "--root", type=path_argument("--root"), required=True, help="folder of all runs; a cell is ROOT/<values>/seed<k>"
    )
    parser.add_argument("--seeds", type=seed_list, default="0,1,2")
    parser.add_argument(
        "--grid", action="append", default=[], metavar="FIELD=A,B,...", help="may be repeated; quote a value with a comma"
    )
    parser.add_argument("--share", default="", metavar="FIELD,...", help="folders used by all cells, below ROOT/shared")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--out", type=path_argument("--out"), help="also write the table here, as JSON")
    parser.add_argument("rest", nargs="*", metavar="-- FLAGS", help="flags of every run")
    args = parser.parse_args(arguments)
    grid = {field: next(csv.reader([values]), [""]) for field, _, values in (item.partition("=") for item in args.grid)}
    cells, rows, failed = _run_cells(grid, args)
    print_message(format_aggregates(cells))
    if rows:
        write_runs(args.root / RUNS_FILE, rows)
        print_message(f"all runs: {args.root / RUNS_FILE}")
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        # Folders of this machine mean nothing to others.
        flags = [flag for flag in args.rest if "/" not in flag.partition("=")[2]]
        about = {"config": args.config, "split": args.split, "grid": grid, "flags": flags}
        args.out.write_text(json.dumps({**about, "cells": cells}, indent=1) + "\n")
    for line in failed:
        print_message(f"failed: {line}", error=True)
    return FAILED if failed else 0


def _run_cells(grid: Mapping[str, Sequence[str]], args: argparse.Namespace) -> _Swept:
    """Run all cells of the grid."""
    shared = [f"--config.{field}={quote_path(args.root / 'shared' / field)}" for field in args.share.split(",") if field]
    cells, rows, failed = {}, [], []
    for values in itertools.product(*grid.values()):
        name = _cell_name(values)
        overrides = [f"--config.{field}={value}" for field, value in zip(grid, values, strict=True)]
        try:
            config = load(args.config, [*shared, *overrides, *args.rest])
            runs = run_seeds(config, args.root / name, args.seeds, split=args.split)
            cells[name] = aggregate_seeds(results_of(runs, args.split))
            rows += _rows_of(
                runs, {"config": pathlib.PurePath(args.config).name, "cell": name, **dict(zip(grid, values, strict=True))}
            )
        except InputError as error:
            failed.append(f"{name}: {error}")
    return _Swept(cells, rows, failed)


def _rows_of(runs: Sequence[Run], about: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of all evaluated splits of the runs of a cell."""
    for run in runs:
        for split in run.config.evaluate.splits:
            results = read_results(run.paths.results, split)
            if results is not None:
                yield from result_rows(results, about)


def _cell_name(values: Sequence[str]) -> str:
    """Return the folder of a cell below the root. A value may be a path, which must not lead out of the root."""
    name = "-".join(value or "none" for value in values) or "default"
    parts = pathlib.PurePath(name).parts
    if name.startswith("/") or ".." in parts or max(len(os.fsencode(part)) for part in parts) > _LONGEST_NAME:
        name = re.sub(r"[/.]+", "_", name).strip("_")[-80:] + "-" + hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    return name


main = make_command(_run, __doc__)

if __name__ == "__main__":
    sys.exit(main())
