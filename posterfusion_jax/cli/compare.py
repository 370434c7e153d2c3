"""Compare two systems on the same test posters.

    posterfusion compare runs/ours runs/gmu --out=comparison.json
    posterfusion compare runs/a runs/a@text_empty --rule=metrics_tuned
    posterfusion compare --root=runs/tables --out=comparisons

Each metric's difference is printed with its 95 % interval over films and
seeds. A system is the workdir of a run, or a folder with one workdir seed<k>
per seed, as `posterfusion sweep` and `posterfusion reproduce` write them. "@"
and the name of an ablation select its scores on changed input. Both systems
must have been trained on the same dataset (otherwise a message and exit status
2). --root makes all comparisons that COMPARISONS of configs/tables.py lists,
with the systems that `reproduce` wrote there; --out is then a folder, and
comparisons whose systems were not run are named at the end.
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence

from posterfusion_jax.cli.program import FAILED, make_command
from posterfusion_jax.configs.tables import COMPARISONS
from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.aggregate import RULES
from posterfusion_jax.evaluation.compare import compare, format_comparison, read_system
from posterfusion_jax.utils.console import print_message
from posterfusion_jax.utils.user_path import path_argument


def _run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    parser.add_argument("systems", nargs="*", metavar="A B", help="two of WORKDIR or ROOT, each maybe with @ABLATION")
    parser.add_argument(
        "--root", type=path_argument("--root"), help="instead of A and B: all of COMPARISONS, of systems in this folder"
    )
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--rule", choices=RULES, default="metrics", metavar="RULE", help=f"thresholds: {', '.join(RULES)}")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--out", type=path_argument("--out"), metavar="FILE.json", help="also write here; a folder with --root")
    args = parser.parse_args(arguments)
    if len(args.systems) != (0 if args.root else 2):
        parser.error("name two systems, or --root and none")
    if args.root:
        return _compare_listed(args)
    first, second = args.systems
    _compare(first, second, args, args.out)
    return 0


def _compare_listed(args: argparse.Namespace) -> int:
    left_out = {}
    for name, (a, b) in COMPARISONS.items():
        print_message(f"\n== {name}")
        try:
            _compare(str(args.root / a), str(args.root / b), args, args.out and args.out / f"{name}.json")
        except InputError as error:
            left_out[name] = error
    for name, error in left_out.items():
        print_message(f"not compared: {name}: {error}", error=True)
    return FAILED if left_out else 0


def _compare(name_a: str, name_b: str, args: argparse.Namespace, out: pathlib.Path | None) -> None:
    a, b = read_system(name_a, args.split), read_system(name_b, args.split)
    comparison = compare(a, b, rule=args.rule, resamples=args.resamples)
    print_message(format_comparison(comparison, name_a=name_a, name_b=name_b))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(comparison, indent=1) + "\n")


main = make_command(_run, __doc__)

if __name__ == "__main__":
    sys.exit(main())
