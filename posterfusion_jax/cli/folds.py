"""Cross-validate a config, and print the metrics of all posters out of fold.

    posterfusion folds --table=labels.csv --images=DIR --folds=5
    posterfusion folds --config=quickstart --folds=5 --workdir=runs/folds
    posterfusion folds --config=paper -- --config.data.posters_dir=DIR

All posters of a group are in one fold. Each fold is tested once; the next one
is its validation, the others its training. Finished folds are skipped, so the
same command resumes. Flags after "--" apply to every fold.

Written to the workdir: fold<k>/ with the run of each fold, out_of_fold.json
with the metrics, and oof_predictions.csv with the scores of all posters.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from posterfusion_jax.cli.program import make_command
from posterfusion_jax.config.data_rules import RECOMMENDED, own_data_fields
from posterfusion_jax.config.run import load, stem_of
from posterfusion_jax.evaluation.out_of_fold import POOLING, format_out_of_fold
from posterfusion_jax.pipeline.folds import RESULTS_FILE, TABLE_FILE, run_folds, write_out_of_fold
from posterfusion_jax.utils.console import print_message, wrap_lines
from posterfusion_jax.utils.user_path import path_argument


def _run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    parser.add_argument(
        "--config", help="the config of all folds: a name or a file; default recommended with --table or --images"
    )
    parser.add_argument("--table", metavar="FILE", help="labels of your own posters; as --config.data.table")
    parser.add_argument("--images", metavar="FOLDER", help="their pictures; as --config.data.images")
    parser.add_argument("--folds", type=int, default=5, help="number of folds, at least 3; default 5")
    parser.add_argument(
        "--workdir", type=path_argument("--workdir"), help="folder of all folds; default runs/<name of the config>_folds"
    )
    parser.add_argument("rest", nargs="*", metavar="-- FLAGS", help="flags of every fold")
    args = parser.parse_args(arguments)
    own_data = own_data_fields(args.table, args.images)
    if args.config is None and not own_data:
        parser.error("name a config with --config, or posters of your own with --table and --images")
    name = stem_of(args.config) if args.config else pathlib.Path(args.table or args.images).stem
    workdir = args.workdir or pathlib.Path("runs") / f"{name}_folds"
    runs = run_folds(load(args.config or RECOMMENDED, [*own_data, *args.rest]), workdir, args.folds)
    results = write_out_of_fold(runs, workdir)
    print_message(format_out_of_fold(results))
    print_message(wrap_lines(POOLING))
    print_message(f"metrics: {workdir / RESULTS_FILE}\nscores:  {workdir / TABLE_FILE}")
    return 0


main = make_command(_run, __doc__)

if __name__ == "__main__":
    sys.exit(main())
