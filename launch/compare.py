"""Compares two systems on the same test posters: each metric's difference with its 95 % interval, over films and seeds.

    python launch/compare.py runs/tables/ours_l4 runs/tables/gmu --out=comparison.json
    python launch/compare.py runs/tables/ours_l4 runs/tables/ours_l4@text_empty --rule=metrics_tuned_per_genre

A system is the workdir of a run, or a folder with a workdir seed<k> a seed, as launch/sweep.py and launch/reproduce.py leave
them. "@" and the name of a control take its scores on changed input. Both must have been trained on the same dataset; exit
status 2 and a message if not.
"""

import argparse
import json
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent))  # the package, from whatever folder this is started

from posterfusion_jax.compare import compare, format_comparison, read_system
from posterfusion_jax.config import SPLITS
from posterfusion_jax.errors import InputError
from posterfusion_jax.summary import RULES


def main() -> int:
    """Prints the comparison; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", metavar="A", help="WORKDIR or ROOT, or either with @CONTROL")
    parser.add_argument("b", metavar="B", help="likewise")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--rule", choices=RULES, default="metrics", help="threshold: fixed, tuned, or tuned per genre")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE.json", help="also write the comparison here")
    args = parser.parse_args()
    try:
        systems = [read_system(name, args.split) for name in (args.a, args.b)]
        comparison = compare(*systems, rule=args.rule, resamples=args.resamples)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(format_comparison(comparison, name_a=args.a, name_b=args.b))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(comparison, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
