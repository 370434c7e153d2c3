r"""Read the words on posters in an Apache Beam pipeline: several processes here, or Dataflow, Flink, Spark.

    python launch/ocr_beam.py --config=configs/paper.py --config.data.posters_dir=DIR \
        --direct_running_mode=multi_processing --direct_num_workers=8
    python launch/ocr_beam.py --config=configs/paper.py --posters='gs://bucket/posters/**' --output=gs://bucket/records \
        --runner=DataflowRunner ...

Flags that this command does not know are passed to Beam: launch/README.md has those for Dataflow and Flink. The same command
resumes an interrupted run, and reads nothing if nothing is missing. Exit status: 0; 2 for wrong input; 130 after Ctrl-C.
"""

import argparse
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent))  # so that the package is found from any current folder

from posterfusion_jax.config import run as config_lib
from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.summary import format_summary
from posterfusion_jax.pipeline.draw import draw_posters
from posterfusion_jax.posters.folder import Skipped, record_files
from posterfusion_jax.utils.console import print_message, sanitize, sanitize_logging
from posterfusion_jax.utils.signals import exit_status, install_handlers
from posterfusion_jax.utils.user_path import expand_path, path_argument, quote_path

_SHOWN = 5


def main() -> int:
    """Run the pipeline and print its summary; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--config", required=True, help="e.g. configs/paper.py; override with --config.x.y=z")
    parser.add_argument("--workdir", type=path_argument("--workdir"), help="of the run; default runs/<name of the config file>")
    parser.add_argument("--posters", help="instead of data.posters_dir: a pattern, or a .txt file with one path per line")
    parser.add_argument("--output", help="folder of the record files, local or gs://...; default: data.posters_dir")
    parser.add_argument("--records", action="append", default=[], help="further record files to skip by; a pattern")
    parser.add_argument("--shards", type=int, default=0, help="number of files to write; default: the runner decides")
    args, rest = parser.parse_known_args()
    sanitize_logging()
    install_handlers()
    try:
        _run(args, rest)
    except InputError as error:
        print_message(f"error: {error}", error=True)
        return 2
    except KeyboardInterrupt:
        print_message("\ninterrupted; the same command resumes where it stopped", error=True)
        return exit_status()
    return 0


def _run(args: argparse.Namespace, rest: list[str]) -> None:
    from posterfusion_jax.beam import ocr  # raises InputError without Apache Beam

    if args.shards < 0:
        raise InputError(f"--shards={args.shards} must be at least 0.")
    config = config_lib.load(args.config, [flag for flag in rest if flag.startswith("--config.")])
    workdir = args.workdir or pathlib.Path("runs") / config_lib.stem_of(args.config)
    posters, output = _local_or_remote(args.posters, "--posters"), _local_or_remote(args.output, "--output")
    if args.posters:
        if not args.output:
            raise InputError("--posters needs --output, the folder for the record files.")
        config.data.posters_dir = config.data.posters_dir or quote_path(workdir)  # only records are read from it
    run = config_lib.resolve(config, workdir)
    if not args.posters:
        draw_posters(run)
    found, skipped = ocr.list_posters(posters or str(run.paths.posters))
    records = {path.resolve(): str(path) for path in (*record_files(run.paths.posters), run.paths.records) if path.is_file()}
    summary = ocr.read_with_beam(
        found,
        output or str(run.paths.posters),
        run.ocr_engine,
        flags=[flag for flag in rest if not flag.startswith("--config.")],
        record_files=[*records.values(), *(_local_or_remote(name, "--records") for name in args.records)],
        retry=tuple(run.config.ocr.retry),
        shards=args.shards,
    )
    print_message(format_summary(summary))
    _print_skipped(skipped)


def _local_or_remote(text: str | None, flag: str) -> str:
    """Return a URL unchanged, any other path expanded, "" for none."""
    return text if text and "://" in text else expand_path(text or "", flag)


def _print_skipped(skipped: list[Skipped]) -> None:
    if skipped:
        print_message(f"{len(skipped):,} files were skipped")
    for item in skipped[:_SHOWN]:
        print_message(f"  {sanitize(item.what)}: {sanitize(item.reason)}")


if __name__ == "__main__":
    sys.exit(main())
