"""Train systems of the paper's tables over several seeds; finished work is skipped, and a kill costs minutes at most.

    python launch/reproduce.py --posters=DIR --root=runs/tables --seeds=0,1,2,3,4 --out=data/results/tables/by_film
    python launch/reproduce.py --posters=DIR --root=runs/tables --only=table_iii,gmu --use=clip=weights/clip-vit-b32

Weights come from the sources in configs/tables.py, or from --use=NAME=SOURCE (a folder, a file, or a hub name; NAME is one of
its SOURCES). A system whose weights are not available is reported at the end, with the reason, and the others continue; the
exit status is then 1. All flags after "--" are passed to every system's config, as for posterfusion_jax.main.

Each seed of a system has a separate workdir, ROOT/<system>/seed<k>, which posterfusion_jax.main can evaluate, report and
predict with. All seeds of a system train in one program. --out gets one summary per system.
"""

import argparse
import json
import pathlib
import sys
import time

sys.path.append(str(pathlib.Path(__file__).parent.parent))  # so that the package is found from any current folder

from ml_collections import ConfigDict

from posterfusion_jax.config.run import load
from posterfusion_jax.configs import tables
from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.aggregate import aggregate_seeds, format_aggregates
from posterfusion_jax.pipeline.multi_seed import results_of, run_seeds, seed_list
from posterfusion_jax.utils.console import print_message, sanitize_logging
from posterfusion_jax.utils.signals import install_handlers
from posterfusion_jax.utils.user_path import path_argument, quote_path


def main() -> int:
    """Run the systems and print their metrics; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posters", required=True, help="your poster folder, see data/README.md")
    parser.add_argument("--root", type=path_argument("--root"), required=True, help="folder of all runs")
    parser.add_argument("--only", default="", metavar="NAME,...", help="systems or tables (table_i, ...); all by default")
    parser.add_argument("--seeds", type=seed_list, default="0,1,2,3,4")
    parser.add_argument("--use", action="append", default=[], metavar="NAME=SOURCE", help="the source of an encoder's weights")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--out", type=path_argument("--out"), help="folder for one summary per system, JSON")
    parser.add_argument("rest", nargs="*", metavar="-- FLAGS", help="--config.x.y=z for every system")
    args = parser.parse_args()
    sanitize_logging()
    install_handlers()
    try:
        systems = _choose(args.only)
        sources = _sources(args.use)
    except InputError as error:
        print_message(f"error: {error}", error=True)
        return 2

    summaries, left_out = {}, {}
    for name in systems:
        print_message(f"\n== {name}")
        started = time.monotonic()
        try:
            config = _config(name, args, sources)
            runs = run_seeds(config, args.root / name, args.seeds, split=args.split)
            summaries[name] = {"system": name, **aggregate_seeds(results_of(runs, args.split))}
        except InputError as error:
            left_out[name] = str(error)
            print_message(f"not run: {error}", error=True)
            continue
        print_message(f"{name}: {len(runs)} seeds in {time.monotonic() - started:.0f} s")
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
            (args.out / f"{name}.json").write_text(json.dumps(summaries[name], indent=1) + "\n")
    print_message(f"\n{format_aggregates(summaries)}")
    for name, reason in left_out.items():
        print_message(f"not run: {name}: {reason}", error=True)
    return 1 if left_out else 0


def _choose(only: str) -> list[str]:
    chosen: dict[str, None] = {}
    for name in only.split(",") if only else tables.TABLES:
        if name not in tables.TABLES and name not in tables.SYSTEMS:
            raise InputError(f"--only has {name!r}; allowed are {', '.join([*tables.TABLES, *tables.SYSTEMS])}.")
        chosen |= dict.fromkeys(tables.TABLES[name].values() if name in tables.TABLES else [name])
    return list(chosen)


def _sources(use: list[str]) -> dict[str, str]:
    given = dict(item.partition("=")[::2] for item in use)
    for name in given:
        if name not in tables.SOURCES:
            raise InputError(f"--use={name}=...: allowed names are {', '.join(tables.SOURCES)}.")
    return given


def _config(name: str, args: argparse.Namespace, sources: dict[str, str]) -> ConfigDict:
    """Return the system's config with the command line's changes; all systems that can share dataset and features do."""
    system = tables.SYSTEMS[name]
    config = load(f"{tables.__file__}:{name}", args.rest)
    config.data.posters_dir = args.posters
    config.encoders.image = sources.get(system.image, config.encoders.image)
    config.encoders.text = sources.get(system.text, config.encoders.text)
    config.data.dataset_dir = config.data.dataset_dir or quote_path(args.root / "dataset")
    kind = f"{system.image}-{system.text}-{config.features.level}"
    config.features.dir = config.features.dir or quote_path(args.root / "features" / kind)
    return config


if __name__ == "__main__":
    sys.exit(main())
