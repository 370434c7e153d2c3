"""Train the systems of the paper's tables over several seeds.

    posterfusion reproduce --posters=DIR --root=runs/tables --seeds=0,1,2,3,4 \\
        --out=data/results/tables/by_film
    posterfusion reproduce --posters=DIR --root=runs/tables \\
        --only=table_iii,gmu --use=clip=weights/clip-vit-b32

Finished work is skipped, and a kill costs minutes at most. Weights come from
the sources in configs/tables.py, or from --use=NAME=SOURCE (a folder, a file,
or a hub name; NAME is one of its SOURCES). A system whose weights are not
available is named at the end with the reason, and the others continue; the
exit status is then 1. Flags after "--" apply to every system's config.

The dataset must have the thirteen genres of the paper.

Each seed of a system has a separate workdir, ROOT/<system>/seed<k>, which can
be evaluated, reported and used for prediction. All seeds of a system train in
one program. --out receives one summary per system.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from posterfusion_jax.cli.program import FAILED, make_command
from posterfusion_jax.config.run import load
from posterfusion_jax.configs import tables
from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.aggregate import aggregate_seeds, format_aggregates
from posterfusion_jax.pipeline.multi_seed import results_of, run_seeds, seed_list
from posterfusion_jax.utils.console import print_message
from posterfusion_jax.utils.user_path import path_argument, quote_path


def _run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    parser.add_argument("--posters", required=True, help="your poster folder, see data/README.md")
    parser.add_argument("--root", type=path_argument("--root"), required=True, help="folder for everything that is written")
    parser.add_argument("--only", default="", metavar="NAME,...", help="systems or tables (table_i, ...); all by default")
    parser.add_argument("--seeds", type=seed_list, default="0,1,2,3,4")
    parser.add_argument("--use", action="append", default=[], metavar="NAME=SOURCE", help="source of an encoder's weights")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--out", type=path_argument("--out"), help="folder for one summary per system, JSON")
    parser.add_argument("rest", nargs="*", metavar="-- FLAGS", help="--config.x.y=z for every system")
    args = parser.parse_args(arguments)
    systems, sources = _choose(args.only), _sources(args.use)
    summaries, left_out = {}, {}
    for system in systems:
        print_message(f"\n== {system}")
        try:
            summaries[system] = _run_system(system, args, sources)
        except InputError as error:
            left_out[system] = str(error)
            print_message(f"not run: {error}", error=True)
            continue
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
            (args.out / f"{system}.json").write_text(json.dumps(summaries[system], indent=1) + "\n")
    print_message(f"\n{format_aggregates(summaries)}")
    for system, reason in left_out.items():
        print_message(f"not run: {system}: {reason}", error=True)
    return FAILED if left_out else 0


def _run_system(name: str, args: argparse.Namespace, sources: dict[str, str]) -> dict[str, Any]:
    """Train and evaluate all seeds of a system, and return its summary."""
    started = time.monotonic()
    runs = run_seeds(_config(name, args, sources), args.root / name, args.seeds, split=args.split, paper_genres=True)
    summary = {"system": name, **aggregate_seeds(results_of(runs, args.split))}
    print_message(f"{name}: {len(runs)} seeds in {time.monotonic() - started:.0f} s")
    return summary


def _choose(only: str) -> list[str]:
    chosen: dict[str, None] = {}
    for name in only.split(",") if only else tables.TABLES:
        if name not in tables.TABLES and name not in tables.SYSTEMS:
            raise InputError(f"--only has {name!r}; allowed are {', '.join([*tables.TABLES, *tables.SYSTEMS])}.")
        chosen |= dict.fromkeys(tables.TABLES[name].values() if name in tables.TABLES else [name])
    return list(chosen)


def _sources(use: list[str]) -> dict[str, str]:
    given = {name: source for name, _, source in (item.partition("=") for item in use)}
    for name in given:
        if name not in tables.SOURCES:
            raise InputError(f"--use={name}=...: allowed names are {', '.join(tables.SOURCES)}.")
    return given


def _config(name: str, args: argparse.Namespace, sources: dict[str, str]) -> ConfigDict:
    """Return a system's config with the changes of the command line. Systems share dataset and features where they can."""
    system = tables.SYSTEMS[name]
    config: Any = load(f"{tables.__file__}:{name}", args.rest)
    config.data.posters_dir = args.posters
    config.encoders.image = sources.get(system.image, config.encoders.image)
    config.encoders.text = sources.get(system.text, config.encoders.text)
    config.data.dataset_dir = config.data.dataset_dir or quote_path(args.root / "dataset")
    kind = f"{system.image}-{system.text}-{config.features.level}"
    config.features.dir = config.features.dir or quote_path(args.root / "features" / kind)
    return config


main = make_command(_run, __doc__)

if __name__ == "__main__":
    sys.exit(main())
