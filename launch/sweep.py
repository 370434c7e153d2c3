"""Runs a grid of configs and seeds one after the other, skips what is done, and prints each cell's mean and interval.

    python launch/sweep.py --config=configs/quickstart.py --root=runs/sweep --seeds=0,1,2 \\
        --grid=model.name=fusion,image_only,text_only --share=data.posters_dir,data.dataset_dir \\
        --out=data/results/quickstart.json

Everything after "--" goes to every run. A run that fails is told and the others go on; the exit status is then 1.
"""

import argparse
import itertools
import json
import pathlib
import subprocess
import sys
from typing import Any

from posterfusion_jax.statistics import seed_interval

_METRICS = (
    "f1_macro",
    "f1_micro",
    "f1_weighted",
    "f1_samples",
    "ba_macro",
    "hamming_loss",
    "hit_ratio",
    "mean_average_precision",
    "roc_auc_macro",
)
_RULES = ("metrics", "metrics_tuned", "metrics_tuned_per_genre")


def main() -> int:
    """Runs the grid and prints the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--root", type=pathlib.Path, required=True, help="folder of all runs; a cell is ROOT/<values>/seed<k>")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--grid", action="append", default=[], metavar="FIELD=A,B,...", help="may be given several times")
    parser.add_argument("--share", default="", metavar="FIELD,...", help="folders used by all runs, below ROOT/shared")
    parser.add_argument("--split", default="test")
    parser.add_argument("--out", type=pathlib.Path, help="also write the table here, as JSON")
    parser.add_argument("rest", nargs="*", metavar="-- FLAGS", help="flags of every run")
    args = parser.parse_args()

    grid = {field: values.split(",") for field, _, values in (item.partition("=") for item in args.grid)}
    shared = [f"--config.{field}={args.root / 'shared' / field}" for field in args.share.split(",") if field]
    failed, cells = [], {}
    for values in itertools.product(*grid.values()):
        name = "-".join(values) or "default"
        overrides = [f"--config.{field}={value}" for field, value in zip(grid, values, strict=True)]
        runs = []
        for seed in map(int, args.seeds.split(",")):
            workdir = args.root / name / f"seed{seed}"
            flags = [
                f"--config={args.config}",
                f"--workdir={workdir}",
                f"--config.seed={seed}",
                *shared,
                *overrides,
                *args.rest,
            ]
            status = subprocess.run([sys.executable, "-m", "posterfusion_jax.main", *flags], check=False).returncode
            if status:
                failed.append(f"{workdir} (exit status {status})")
            else:
                runs.append(json.loads((workdir / "results" / f"{args.split}.json").read_text()))
        if runs:
            cells[name] = summarise(runs)
    print(table(cells))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        flags = [
            flag for flag in args.rest if "/" not in flag.partition("=")[2]
        ]  # folders of this machine say nothing to others
        about = {"config": args.config, "split": args.split, "grid": grid, "flags": flags}
        args.out.write_text(json.dumps({**about, "cells": cells}, indent=1) + "\n")
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failed else 0


def summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the seeds of one cell: what they were runs of, and each metric's values, mean, deviation and 95 % interval."""
    first = runs[0]
    summary: dict[str, Any] = {
        "model": first["model"],
        "seeds": [run["seed"] for run in runs],
        "best_epochs": [run["checkpoint"]["epoch"] for run in runs],
        "dataset": first["dataset"],
        "encoders": first["encoders"],
        "versions": first["versions"],
    }
    for rule in _RULES:
        summary[rule] = {}
        for metric in _METRICS:
            values = [run[rule][metric] for run in runs]
            spread = seed_interval(values)._asdict() if len(values) > 1 else {"mean": values[0]}
            summary[rule][metric] = {"values": values, **spread}
    summary["film_intervals_first_seed"] = first["intervals"]
    return summary


def table(cells: dict[str, dict[str, Any]]) -> str:
    """Mean and standard deviation over seeds, per cent, for the fixed threshold and those tuned per genre."""
    lines = [f"{'':<28}{'macro F1':>16}{'tuned per genre':>18}{'mAP':>16}{'hit ratio':>16}"]
    for name, cell in cells.items():
        columns = [cell["metrics"]["f1_macro"], cell["metrics_tuned_per_genre"]["f1_macro"]]
        columns += [cell["metrics"]["mean_average_precision"], cell["metrics"]["hit_ratio"]]
        shown = [f"{100 * c['mean']:.2f} ± {100 * c.get('std', float('nan')):.2f}" for c in columns]
        lines.append(f"{name:<28}{shown[0]:>16}{shown[1]:>18}{shown[2]:>16}{shown[3]:>16}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
