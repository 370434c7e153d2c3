"""What every benchmark writes: one JSON file, data/results/benchmarks/<question>.json, and one table."""

import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

FOLDER = pathlib.Path(__file__).parent.parent / "data" / "results" / "benchmarks"
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def write_record(
    question: str,
    *,
    inputs: Mapping[str, Any],
    seconds: Mapping[str, Sequence[float]],
    ours: str,
    same_result: Mapping[str, Any],
    write: bool,
    figures: Mapping[str, Any] | None = None,
    packages: Sequence[str] = (),
) -> dict[str, Any]:
    """Prints medians and ratios and, if `write`, writes the record.

    Args:
      question: name of the file.
      inputs: what was timed, JSON-able.
      seconds: side -> one wall time a round.
      ours: which side is ours.
      same_result: what was compared to see that all sides computed the same, and what came out.
      figures: what else was measured, JSON-able.
      packages: whose versions matter, beside those of `_PACKAGES`.
    """
    medians = {side: statistics.median(times) for side, times in seconds.items()}
    record = {
        "question": question,
        "inputs": dict(inputs),
        "ours": {"name": ours, "median_s": medians[ours], "rounds_s": list(seconds[ours])},
        "rivals": {side: {"median_s": medians[side], "rounds_s": list(seconds[side])} for side in seconds if side != ours},
        "ratios": {side: medians[side] / medians[ours] for side in seconds if side != ours},
        "same_result": dict(same_result),
        **({"figures": dict(figures)} if figures else {}),
        "rounds": len(seconds[ours]),
        "hardware": _hardware(),
        "versions": {"python": platform.python_version()} | {p: importlib.metadata.version(p) for p in (*_PACKAGES, *packages)},
        "command": " ".join(["python benchmarks/" + pathlib.Path(sys.argv[0]).name, *map(_public, sys.argv[1:])]),
        "date": time.strftime("%Y-%m-%d"),
    }
    for side, median in medians.items():
        ratio = "" if side == ours else f"   {medians[side] / medians[ours]:.2f} times ours"
        print(f"{side:<28}{median:>9.1f} s{ratio}")
    for name, figure in (figures or {}).items():
        print(f"{name:<28}{figure}")
    print(f"same result: {record['same_result']}")
    if write:
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{question}.json").write_text(json.dumps(record, indent=1) + "\n")
        print(f"written: data/results/benchmarks/{question}.json")
    return record


def _hardware() -> str:
    cpu = platform.processor() or platform.machine()
    info = pathlib.Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0] if names else cpu
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cpu}, {cores} cores"


def _public(argument: str) -> str:
    """An argument without the folders of this machine."""
    name, equals, value = argument.partition("=")
    shown = pathlib.Path(value or name).name if "/" in (value or name) else value or name
    return f"{name}={shown}" if equals else shown
