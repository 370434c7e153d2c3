"""How long do ten seeds of a system take as a whole program, against ten programs?

    python -m benchmarks.ten_runs --posters=DIR --system=clip_add [--write] -- --config.features.dir=FEATURES ...

Both sides are whole processes, as a user starts them, from cached features to results files: launch/reproduce.py once with
ten seeds, then ten times with one, which trains it on its own. Dataset and features are made beforehand and are not timed.
"Same result": the largest difference of macro F1 and mAP on the test split between the two sides, over the seeds.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from benchmarks.record import ROOT, write_record


def main() -> None:
    """Times both sides in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posters", required=True)
    parser.add_argument("--system", default="clip_add")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--use", action="append", default=[], metavar="NAME=SOURCE", help="as for launch/reproduce.py")
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/ten_runs_<system>.json")
    parser.add_argument("rest", nargs="*", metavar="-- FLAGS", help="flags of every run; must name dataset and features")
    args = parser.parse_args()
    seeds = list(range(args.seeds))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ten_runs"))
    together = [sys.executable, "launch/reproduce.py", f"--posters={args.posters}", f"--only={args.system}"]
    together += [f"--use={use}" for use in args.use]
    _call([*together, f"--root={folder / 'warm'}", "--seeds=0", "--", *args.rest, "--config.train.max_epochs=1"])

    seconds: dict[str, list[float]] = {"one program": [], "single runs": []}
    for round_ in range(args.rounds):
        root = folder / f"together{round_}"
        flags = [f"--root={root}", f"--seeds={','.join(map(str, seeds))}", "--", *args.rest]
        seconds["one program"].append(_call([*together, *flags]))
        alone = [[*together, f"--root={folder / f'alone{round_}'}", f"--seeds={seed}", "--", *args.rest] for seed in seeds]
        seconds["single runs"].append(sum(_call(command) for command in alone))

    results = {
        side: [_results(folder / side / args.system / f"seed{seed}") for seed in seeds] for side in ("together0", "alone0")
    }
    difference = max(
        abs(one["metrics"][name] - other["metrics"][name])
        for one, other in zip(*results.values(), strict=True)
        for name in ("f1_macro", "mean_average_precision")
    )
    epochs = [run["checkpoint"]["epoch"] for run in results["alone0"]]
    write_record(
        f"ten_runs_{args.system}",
        inputs={"system": args.system, "seeds": args.seeds, "best_epochs": epochs},
        seconds=seconds,
        ours="one program",
        same_result={"largest_difference_f1_macro_or_map": difference},
        write=args.write,
    )
    shutil.rmtree(folder)


def _call(command: list[str]) -> float:
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return time.monotonic() - started


def _results(workdir: pathlib.Path) -> dict:
    return json.loads((workdir / "results" / "test.json").read_text())


if __name__ == "__main__":
    main()
