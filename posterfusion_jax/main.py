"""The command line: flags to config to one stage, or to all that are missing.

    posterfusion train --config=quickstart
    posterfusion evaluate --workdir=runs/quickstart
    posterfusion predict --workdir=runs/quickstart poster.jpg folder/

The same without verbs:

    python -m posterfusion_jax.main --config=configs/quickstart.py
    python -m posterfusion_jax.main --mode=evaluate --workdir=runs/quickstart
    python -m posterfusion_jax.main --mode=predict --workdir=runs/quickstart poster.jpg folder/

Without --mode every stage that is missing runs, up to the report. Exit status: 0; 1 when no file could be predicted; for the
others see `posterfusion_jax.cli.program`. After 2, 3, 130, 143 and after a kill the same command resumes.
"""

import json
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # XLA's start-up notes

from absl import app, flags, logging

from posterfusion_jax.cli.program import FAILED, UNUSABLE, run_program
from posterfusion_jax.cli.stages import run_stages
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils import jax_environment
from posterfusion_jax.utils.compilation_cache import enable_compilation_cache
from posterfusion_jax.utils.console import print_message
from posterfusion_jax.utils.user_path import expand_path

if TYPE_CHECKING:
    from posterfusion_jax.config.run import Run

# Heavy imports are inside the functions, so that each mode loads what it needs and no more.

MODES = ("ocr", "build", "features", "train", "evaluate", "predict", "report")
_FROM_CHECKPOINT = ("evaluate", "predict", "report")  # modes that need no --config: the checkpoint has it

_CONFIG = flags.DEFINE_string(
    "config",
    None,
    "The run's config: a file, or the name of one in the package, such as paper or tables:gmu; override with --config.x.y=z.",
)
_OVERRIDES: list[str] = []  # of config fields, found by `_parse_flags`
_MODE = flags.DEFINE_enum(
    "mode", None, MODES, "One stage only; without it every stage that is still missing, up to the report."
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run; default runs/<name of the table, the images or the config>."
)
_TABLE = flags.DEFINE_string(
    "table", None, "A table with labels of your own posters (CSV, TSV, JSON, JSON lines, Parquet); as --config.data.table."
)
_IMAGES = flags.DEFINE_string(
    "images", None, "Their pictures; without --table a folder whose kind is found out. As --config.data.images."
)
_RETRY = flags.DEFINE_list("retry", None, "With --mode=ocr: statuses of posters to read again; as --config.ocr.retry.")
_THRESHOLD = flags.DEFINE_enum(
    "threshold",
    "fixed",
    ("fixed", "tuned", "tuned_per_genre"),
    "With --mode=predict: evaluate.threshold, or one fitted on validation.",
)
_JSON = flags.DEFINE_bool("json", False, "With --mode=predict: one JSON object per poster, instead of text.")


def cli() -> None:
    """Run the console command `posterfusion`."""
    from posterfusion_jax.cli.verbs import run_command

    sys.exit(run_command(sys.argv[1:], _start))


def _start(arguments: Sequence[str]) -> None:
    """Run `main` with these arguments, in which flags may follow file names; exits."""
    flags.FLAGS.set_gnu_getopt()
    app.run(main, argv=["posterfusion", *arguments], flags_parser=_parse_flags)


def main(argv: Sequence[str]) -> None:
    """Run one mode; exits with the status described above."""
    logging.set_verbosity(logging.WARNING)
    sys.exit(run_program(lambda: _run(argv[1:])))


def _run(names: Sequence[str]) -> int:
    mode = _MODE.value
    if names and mode != "predict":
        raise InputError(f"{names[0]!r} is not a flag. Only prediction takes files: posterfusion predict, or --mode=predict.")
    jax_environment.prepare(computes=mode not in ("ocr", "build"))
    enable_compilation_cache()
    from posterfusion_jax.pipeline.workdir import check_trained, lock_workdir, saved_config

    run = _resolve()
    if mode in _FROM_CHECKPOINT:
        check_trained(run.paths.workdir)
    if mode == "predict":
        return _predict(run, list(names))
    from posterfusion_jax.pipeline.inputs import check_inputs
    from posterfusion_jax.pipeline.source import complete_run

    if mode not in _FROM_CHECKPOINT:
        run = complete_run(run, saved_config(run.paths.workdir))
    check_inputs(run, mode)
    with lock_workdir(run.paths.workdir):
        run_stages(run, mode)
    return 0


def _resolve() -> "Run":
    from posterfusion_jax.config import run as config_lib
    from posterfusion_jax.config.data_rules import RECOMMENDED, own_data_fields
    from posterfusion_jax.config.file import stem_of
    from posterfusion_jax.pipeline.workdir import saved_config, saved_run

    file: str | None = _CONFIG.value
    own_data = own_data_fields(_TABLE.value, _IMAGES.value)
    if own_data and _MODE.value in _FROM_CHECKPOINT:
        raise InputError(f"--mode={_MODE.value}: a trained run knows its data; leave --table and --images out.")
    if file is None and own_data:
        file = RECOMMENDED
    if file is None and _OVERRIDES:
        raise InputError(f"{_OVERRIDES[0][:80]} changes a config: name that too, with --config=FILE or --config=NAME.")
    config = None if file is None else config_lib.load(file, [*own_data, *_OVERRIDES])
    workdir = pathlib.Path(expand_path(_WORKDIR.value, "--workdir")) if _WORKDIR.value else None
    if config is None and (_MODE.value not in _FROM_CHECKPOINT or workdir is None):
        raise InputError(
            "name a config, for example --config=configs/quickstart.py (with --mode=evaluate, predict or report, "
            "--workdir=W of a trained run is enough)."
        )
    if file is None or config is None:
        assert workdir is not None
        return saved_run(workdir)
    if _RETRY.value is not None:
        config.update_from_flattened_dict({"ocr.retry": tuple(_RETRY.value)})
    name = pathlib.Path(_TABLE.value or _IMAGES.value or "").stem if own_data and _CONFIG.value is None else stem_of(file)
    workdir = workdir or pathlib.Path("runs") / name
    saved = saved_config(workdir)
    config_lib.keep_detected(config, saved)
    run = config_lib.resolve(config, workdir)
    if saved is not None:
        config_lib.check_same_run(config_lib.to_json(run.config), saved, workdir)
    return run


def _predict(run: "Run", names: list[str]) -> int:
    from posterfusion_jax.pipeline.predict import predict
    from posterfusion_jax.report.prediction import as_json, as_text

    good = failed = 0
    for prediction in predict(run, names, threshold=_THRESHOLD.value):
        good += prediction.error is None
        failed += prediction.error is not None
        if _JSON.value:
            print(json.dumps(as_json(prediction)), flush=True)  # always ASCII
        else:
            print_message(as_text(prediction))
    print_message(f"{good:,} predicted, {failed:,} failed", error=True)
    return 0 if good else FAILED


def _parse_flags(argv: Sequence[str]) -> list[str]:
    """Parse as absl does, with the config's fields apart; a wrong flag is a one-line message and exit status 2."""
    from posterfusion_jax.config.hints import describe_flag
    from posterfusion_jax.config.overrides import split_overrides
    from posterfusion_jax.config.schema import known_fields

    hint = ""
    try:
        _OVERRIDES[:], rest = split_overrides(flags.FLAGS.read_flags_from_files(argv[1:], force_gnu=False))
        return flags.FLAGS([argv[0], *rest])
    except flags.UnrecognizedFlagError as error:
        message, hint = str(error), describe_flag(error.flagname, tuple(known_fields()))
    except flags.Error as error:
        message = str(error)
    print_message(f"error: {message}{hint}", error=True)
    sys.exit(UNUSABLE)


if __name__ == "__main__":
    app.run(main, flags_parser=_parse_flags)
