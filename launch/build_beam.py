r"""Build the dataset in an Apache Beam pipeline, whose workers decode the images and write the shards.

    python launch/build_beam.py --config=configs/paper.py --config.data.posters_dir=DIR --workdir=runs/mine \
        --direct_running_mode=multi_processing --direct_num_workers=8

The dataset is that of --mode=build, byte for byte, in the same place. Flags that this command does not know are passed to Beam.
Every worker must see the posters and the dataset's folder under the same names as this machine. Exit status: 0; 2 for wrong
input; 130 after Ctrl-C.
"""

import argparse
import functools
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent))  # so that the package is found from any current folder

from posterfusion_jax.beam.build import make_beam_builder
from posterfusion_jax.config import run as config_lib
from posterfusion_jax.errors import InputError
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.draw import draw_posters
from posterfusion_jax.pipeline.inputs import check_inputs
from posterfusion_jax.utils.console import print_message, sanitize_logging
from posterfusion_jax.utils.signals import exit_status, install_handlers
from posterfusion_jax.utils.user_path import path_argument


def main() -> int:
    """Build the dataset and print its report; return the exit status."""
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
        flags = [flag for flag in rest if not flag.startswith("--config.")]
        build(run, make_builder=functools.partial(make_beam_builder, flags))
    except InputError as error:
        print_message(f"error: {error}", error=True)
        return 2
    except KeyboardInterrupt:
        print_message("\ninterrupted; the same command starts from the beginning", error=True)
        return exit_status()
    return 0


if __name__ == "__main__":
    sys.exit(main())
