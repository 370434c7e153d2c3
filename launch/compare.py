"""Compare two systems on the same test posters: each metric's difference with its 95 % interval, over films and seeds.

    python launch/compare.py runs/tables/ours_l4 runs/tables/gmu --out=comparison.json
    python launch/compare.py runs/tables/ours_l4 runs/tables/ours_l4@text_empty --rule=metrics_tuned_per_genre
    python launch/compare.py --root=runs/tables --out=data/results/tables/comparisons

A system is the workdir of a run, or a folder with one workdir seed<k> per seed, as launch/sweep.py and launch/reproduce.py
write them. "@" and the name of an ablation select its scores on changed input. Both must have been trained on the same dataset;
exit status 2 and a message if not. --root makes the comparisons that COMPARISONS of configs/tables.py lists, of the systems
that reproduce.py wrote there; --out is then a folder, and a comparison without results of its systems is reported at the end.
"""

import argparse
import json
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent))  # so that the package is found from any current folder

from posterfusion_jax.configs.tables import COMPARISONS
from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.aggregate import RULES
from posterfusion_jax.evaluation.compare import compare, format_comparison, read_system
from posterfusion_jax.utils.console import print_message, sanitize_logging
from posterfusion_jax.utils.user_path import path_argument


def main() -> int:
    """Print the comparisons; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", metavar="A B", help="two of WORKDIR or ROOT, each maybe with @CONTROL")
    parser.add_argument(
        "--root", type=path_argument("--root"), help="in place of A and B: all of COMPARISONS, of systems in this folder"
    )
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--rule", choices=RULES, default="metrics", help="threshold: fixed, tuned, or tuned per genre")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--out", type=path_argument("--out"), metavar="FILE.json", help="also write here; a folder with --root")
    args = parser.parse_args()
    sanitize_logging()
    if len(args.systems) != (0 if args.root else 2):
        parser.error("name two systems, or --root and none")
    if not args.root:
        try:
            _compare(*args.systems, args, args.out)
        except InputError as error:
            print_message(f"error: {error}", error=True)
            return 2
        return 0
    left_out = {}
    for name, (a, b) in COMPARISONS.items():
        print_message(f"\n== {name}")
        try:
            _compare(str(args.root / a), str(args.root / b), args, args.out and args.out / f"{name}.json")
        except InputError as error:
            left_out[name] = error
    for name, error in left_out.items():
        print_message(f"not compared: {name}: {error}", error=True)
    return 1 if left_out else 0


def _compare(name_a: str, name_b: str, args: argparse.Namespace, out: pathlib.Path | None) -> None:
    comparison = compare(
        *(read_system(name, args.split) for name in (name_a, name_b)), rule=args.rule, resamples=args.resamples
    )
    print_message(format_comparison(comparison, name_a=name_a, name_b=name_b))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(comparison, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
