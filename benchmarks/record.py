"""Time sides alternately, and write data/results/benchmarks/<question>.json."""

import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

ROOT = pathlib.Path(__file__).parent.parent
FOLDER = ROOT / "data" / "results" / "benchmarks"
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")
Result = TypeVar("Result")


def interleaved_rounds(
    sides: Mapping[str, Callable[[], Result]], *, rounds: int
) -> tuple[dict[str, list[float]], dict[str, Result]]:
    """Run all sides once per round, every other round in the opposite order.

    A side that must not be timed as a whole returns a float: its own seconds.

    Returns:
      seconds: side -> wall time of each round, in seconds.
      results: side -> what it returned last.
    """
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    results: dict[str, Result] = {}
    for round_ in range(rounds):
        for side in list(sides)[:: -1 if round_ % 2 else 1]:
            started = time.perf_counter()
            results[side] = result = sides[side]()
            seconds[side].append(result if isinstance(result, float) else time.perf_counter() - started)
            print(f"round {round_ + 1}: {side}: {seconds[side][-1]:.3f} s", flush=True)
    return seconds, results


def write_record(
    question: str,
    *,
    inputs: Mapping[str, Any],
    seconds: Mapping[str, Sequence[float]],
    ours: str,
    same_result: Mapping[str, Any],
    write: bool,
    items: tuple[int, str] | None = None,
    figures: Mapping[str, Any] | None = None,
    packages: Sequence[str] = (),
) -> dict[str, Any]:
    """Print medians and ratios and, if `write`, write the record.

    Args:
      question: name of the file.
      inputs: what was timed, JSON-able.
      seconds: side -> one wall time per round, in seconds.
      ours: which side is ours.
      same_result: the comparison of what the sides computed, and its result.
      write: whether to write the file.
      items: the number of items per round and their name: (11105, "posters").
      figures: what else was measured, JSON-able.
      packages: further packages to record the versions of.
    """
    medians = {side: statistics.median(times) for side, times in seconds.items()}

    def figure_of(side: str) -> dict[str, Any]:
        rate = {f"{items[1]}_per_s": round(items[0] / medians[side], 1)} if items else {}
        return {"median_s": medians[side], **rate, "rounds_s": list(seconds[side])}

    record = {
        "question": question,
        "inputs": dict(inputs),
        "ours": {"name": ours, **figure_of(ours)},
        "rivals": {side: figure_of(side) for side in seconds if side != ours},
        "ratios": {side: medians[side] / medians[ours] for side in seconds if side != ours},
        "same_result": dict(same_result),
        **({"figures": dict(figures)} if figures else {}),
        "rounds": len(seconds[ours]),
        "hardware": _hardware(),
        "versions": {"python": platform.python_version()} | {p: importlib.metadata.version(p) for p in (*_PACKAGES, *packages)},
        "command": " ".join(["python -m benchmarks." + pathlib.Path(sys.argv[0]).stem, *map(_public, sys.argv[1:])]),
        "date": time.strftime("%Y-%m-%d"),
    }
    for side, median in medians.items():
        rate = f"   {items[0] / median:>10,.1f} {items[1]}/s" if items else ""
        ratio = "" if side == ours else f"   {medians[side] / medians[ours]:.2f} times ours"
        print(f"{side:<28}{median:>9.3f} s{rate}{ratio}")
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
    gpu = _gpu()
    return f"{cpu}, {cores} cores" + (f", {gpu}" if gpu else "")


def _gpu() -> str:
    """Return the accelerator that JAX uses, or "" if this process has not loaded JAX or uses the CPU."""
    if "jax" not in sys.modules:
        return ""
    import jax

    return "" if jax.default_backend() == "cpu" else f"{jax.device_count()} {jax.devices()[0].device_kind}"


def _public(argument: str) -> str:
    """Return an argument without the folders of this machine."""
    name, equals, value = argument.rpartition("=")
    return f"{name}{equals}{pathlib.Path(value).name if '/' in value else value}"
