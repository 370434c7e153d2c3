"""How long do ten seeds of a system take as a whole program, against ten programs? And ten seeds of a whole table?

    python -m benchmarks.ten_runs --posters=DIR [--only=clip_add] [--rounds=5] [--write]
    python -m benchmarks.ten_runs --posters=DIR --only=table_iii --together [--write] -- --config.features.dir=FEATURES

Both sides are whole processes, as a user starts them, from cached features to results files: launch/reproduce.py once with
ten seeds, then ten times with one, which trains it on its own. Words, dataset and features are made beforehand, unless flags
after "--" name those of earlier runs, and are not timed. --together leaves out the single runs, of which a table has sixty.

"Same result": the largest difference of macro F1 and mAP on the test split, over systems and seeds: between the two sides,
and between the first and the last round.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import Any

from benchmarks.record import ROOT, interleaved_rounds, write_record

OURS = "one program"


def main() -> None:
    """Time both sides alternately."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posters", required=True)
    parser.add_argument("--only", default="clip_add", help="a system or a table, as for launch/reproduce.py")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--together", action="store_true", help="no single runs")
    parser.add_argument("--use", action="append", default=[], metavar="NAME=SOURCE", help="as for launch/reproduce.py")
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/ten_runs_<only>.json")
    parser.add_argument("rest", nargs="*", metavar="-- FLAGS", help="flags of every run")
    args = parser.parse_args()
    seeds = list(range(args.seeds))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ten_runs"))
    program = [sys.executable, "launch/reproduce.py", f"--posters={args.posters}", f"--only={args.only}"]
    program += [f"--use={use}" for use in args.use]
    flags = [f"--config.ocr.store={folder / 'ocr.jsonl'}", *args.rest]  # the last of two flags for one field counts
    warm = folder / "warm"
    _call([*program, f"--root={warm}", "--seeds=0", "--", *flags, "--config.train.max_epochs=1"])

    def new_root(prefix: str) -> pathlib.Path:
        root = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
        for made in ("dataset", "features"):
            (root / made).symlink_to(warm / made)
        return root

    together: list[pathlib.Path] = []  # one per round

    def one_program() -> pathlib.Path:
        together.append(root := new_root("together"))
        _call([*program, f"--root={root}", f"--seeds={','.join(map(str, seeds))}", "--", *flags])
        return root

    def single_runs() -> pathlib.Path:
        root = new_root("alone")
        for seed in seeds:
            _call([*program, f"--root={root}", f"--seeds={seed}", "--", *flags])
        return root

    sides = {OURS: one_program} | ({} if args.together else {"single runs": single_runs})
    seconds, roots = interleaved_rounds(sides, rounds=args.rounds)
    results = {side: _results(root) for side, root in roots.items()}
    same = {"between the sides": _difference(results[OURS], results["single runs"])} if not args.together else {}
    if args.rounds > 1:
        same["between the first and the last round"] = _difference(_results(together[0]), results[OURS])
    epochs = {workdir: run["checkpoint"]["epoch"] for workdir, run in results[OURS].items()}
    systems = sorted({workdir.partition("/")[0] for workdir in epochs})
    write_record(
        f"ten_runs_{args.only}",
        inputs={
            "seeds": args.seeds,
            "best_epochs": {system: [epochs[f"{system}/seed{seed}"] for seed in seeds] for system in systems},
        },
        seconds=seconds,
        ours=OURS,
        same_result=same,
        write=args.write,
    )
    shutil.rmtree(folder)


def _call(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def _results(root: pathlib.Path) -> dict[str, Any]:
    """Return the results of every run on the test split, by <system>/seed<k>."""
    files = root.glob("*/seed*/results/test.json")
    return {f"{file.parts[-4]}/{file.parts[-3]}": json.loads(file.read_text()) for file in files}


def _difference(some: dict[str, Any], others: dict[str, Any]) -> float:
    assert some.keys() == others.keys()
    names = ("f1_macro", "mean_average_precision")
    return max(abs(some[run]["metrics"][name] - others[run]["metrics"][name]) for run in some for name in names)


if __name__ == "__main__":
    main()
