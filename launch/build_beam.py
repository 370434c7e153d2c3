"""Builds the dataset in an Apache Beam pipeline: images are decoded and shards written by its workers.

    python launch/build_beam.py --config=configs/paper.py --config.data.posters_dir=DIR --workdir=runs/mine \\
        --direct_running_mode=multi_processing --direct_num_workers=8

The dataset is that of --mode=build, byte for byte, in the same place. What this command does not know is Beam's. Every worker
must see the posters and the dataset's folder under the same names as this machine. Exit status: 0; 2 when something given
cannot be used; 130 after Ctrl-C.
"""

import argparse
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent))  # for the package, from whatever folder this is started

from posterfusion_jax.config import run as config_lib
from posterfusion_jax.errors import InputError
from posterfusion_jax.pipeline.build import build, draw_posters
from posterfusion_jax.pipeline.inputs import check_inputs
from posterfusion_jax.utils.console import print_message, sanitize_logging
from posterfusion_jax.utils.signals import exit_status, install_handlers
from posterfusion_jax.utils.user_path import path_argument


def main() -> int:
    """Builds the dataset and prints its report; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--config", required=True, help="e.g. configs/paper.py; override with --config.x.y=z")
    parser.add_argument("--workdir", type=path_argument("--workdir"), help="of the run; default runs/<name of the config file>")
    args, rest = parser.parse_known_args()
    sanitize_logging()
    install_handlers()
    try:
        config = config_lib.load(args.config, [flag for flag in rest if flag.startswith("--config.")])
        workdir = args.workdir or pathlib.Path("runs") / config_lib.stem_of(args.config)
        run = config_lib.resolve(config, workdir)
        check_inputs(run, "build")
        draw_posters(run)
        build(run, beam_flags=[flag for flag in rest if not flag.startswith("--config.")])
    except InputError as error:
        print_message(f"error: {error}", error=True)
        return 2
    except KeyboardInterrupt:
        print_message("\ninterrupted; the same command begins again", error=True)
        return exit_status()
    return 0


if __name__ == "__main__":
    sys.exit(main())
