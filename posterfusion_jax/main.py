"""Flags to config to one mode.

    python -m posterfusion_jax.main --config=configs/quickstart.py
    python -m posterfusion_jax.main --mode=evaluate --workdir=runs/quickstart
    python -m posterfusion_jax.main --mode=predict --workdir=runs/quickstart poster.jpg folder/

Without --mode whatever is still missing is done, up to the report. Exit status: 0; 1 when not one file could be predicted;
2 when something given cannot be used or the disk is full (the message says what and how to mend it); 3 when a service has to
be asked again later (its quota, your budget, a batch job); 130 after Ctrl-C, 143 after SIGTERM. After 2, 3, 130, 143 and after
a kill the same command goes on.
"""

import importlib
import json
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # XLA's start-up notes

from absl import app, flags, logging

from posterfusion_jax.errors import InputError, RetryLater
from posterfusion_jax.utils import jax_environment
from posterfusion_jax.utils.compilation_cache import enable_compilation_cache
from posterfusion_jax.utils.console import print_message, sanitize_logging
from posterfusion_jax.utils.disk_full import is_disk_full
from posterfusion_jax.utils.signals import exit_status, install_handlers
from posterfusion_jax.utils.temporary_folder import check_temporary_folder
from posterfusion_jax.utils.user_path import expand_path

if TYPE_CHECKING:
    from posterfusion_jax.config.run import Run

# Heavy imports are inside the functions, so that each mode loads what it needs and no more.

_STAGES = {  # mode -> module of posterfusion_jax.pipeline and function, in the order of a whole run
    "ocr": ("posters", "read_words"),
    "build": ("posters", "build"),
    "features": ("features", "extract_features"),
    "train": ("train", "train_model"),
    "evaluate": ("evaluate", "evaluate"),
    "report": ("report", "report"),
}
MODES = ("ocr", "build", "features", "train", "evaluate", "predict", "report")
_FROM_CHECKPOINT = ("evaluate", "predict", "report")  # modes that need no --config: the checkpoint has it

_CONFIG = flags.DEFINE_string(
    "config",
    None,
    "The run's config: a file, or the name of one in the package, such as paper or tables:gmu; override with --config.x.y=z.",
)
_OVERRIDES: list[str] = []  # of the config's fields, as `_parse_flags` found them
_MODE = flags.DEFINE_enum(
    "mode", None, MODES, "One stage only; without it every stage that is still missing, up to the report."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; default runs/<name of the config file>.")
_RETRY = flags.DEFINE_list("retry", None, "With --mode=ocr: statuses of posters to read again; as --config.ocr.retry.")
_THRESHOLD = flags.DEFINE_enum(
    "threshold",
    "fixed",
    ("fixed", "tuned", "tuned_per_genre"),
    "With --mode=predict: evaluate.threshold, or one fitted on validation.",
)
_JSON = flags.DEFINE_bool("json", False, "With --mode=predict: one JSON object a poster, instead of text.")


def main(argv: Sequence[str]) -> None:
    """Runs one mode; exits with the status described above."""
    install_handlers()
    logging.set_verbosity(logging.WARNING)
    sanitize_logging()
    try:
        sys.exit(_run(argv[1:]))
    except InputError as error:
        print_message(f"error: {error}", error=True)
        sys.exit(2)
    except RetryLater as error:
        print_message(f"not finished: {error}", error=True)
        sys.exit(3)
    except KeyboardInterrupt:
        print_message("\ninterrupted; the same command goes on from the last finished piece of work", error=True)
        sys.exit(exit_status())
    except Exception as error:
        because = jax_environment.explain(error)
        if because is not None:
            print_message(f"error: {because}", error=True)
            sys.exit(2)
        if not is_disk_full(error):
            raise
        print_message(
            f"error: the disk is full ({error}). What is finished stays: make room, and start the same command again.",
            error=True,
        )
        sys.exit(2)


def _run(names: Sequence[str]) -> int:
    mode = _MODE.value
    if names and mode != "predict":
        raise InputError(f"{names[0]!r} is not a flag. Files are only named with --mode=predict.")
    jax_environment.prepare(computes=mode not in ("ocr", "build"))
    enable_compilation_cache()
    from posterfusion_jax.pipeline.workdir import check_trained, lock_workdir

    run = _resolve()
    if mode in _FROM_CHECKPOINT:
        check_trained(run.paths.workdir)
    if mode == "predict":
        return _predict(run, list(names))
    from posterfusion_jax.pipeline.inputs import check_inputs

    check_inputs(run, mode)
    with lock_workdir(run.paths.workdir):
        return _run_stages(run, mode)


def _run_stages(run: "Run", mode: str | None) -> int:
    check_temporary_folder()
    if mode in (None, "ocr", "build"):
        from posterfusion_jax.pipeline.posters import draw_posters

        draw_posters(run)
    for name in [mode] if mode else _STAGES:
        _load_stage(name)(run)
    return 0


def _load_stage(mode: str) -> Callable[["Run"], None]:
    """Imports the stage of one mode alone: drawing charts is no matter of training, nor JAX one of OCR."""
    module, function = _STAGES[mode]
    return getattr(importlib.import_module(f"posterfusion_jax.pipeline.{module}"), function)


def _resolve() -> "Run":
    from posterfusion_jax.config import run as config_lib
    from posterfusion_jax.config.file import stem_of
    from posterfusion_jax.pipeline.workdir import saved_config, saved_run

    file: str | None = _CONFIG.value
    if file is None and _OVERRIDES:
        raise InputError(f"{_OVERRIDES[0][:80]} changes a config: name that too, with --config=FILE or --config=NAME.")
    config = None if file is None else config_lib.load(file, _OVERRIDES)
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
    workdir = workdir or pathlib.Path("runs") / stem_of(file)
    saved = saved_config(workdir)
    if saved is not None:
        config_lib.check_same_run(config_lib.to_json(config), saved, workdir)
    return config_lib.resolve(config, workdir)


def _predict(run: "Run", names: list[str]) -> int:
    from posterfusion_jax.pipeline.predict import predict
    from posterfusion_jax.report.prediction import as_json, as_text

    good = failed = 0
    for prediction in predict(run, names, threshold=_THRESHOLD.value):
        good += prediction.error is None
        failed += prediction.error is not None
        if _JSON.value:
            print(json.dumps(as_json(prediction)), flush=True)  # ASCII, whatever is in it
        else:
            print_message(as_text(prediction))
    print_message(f"{good:,} predicted, {failed:,} failed", error=True)
    return 0 if good else 1


def _parse_flags(argv: Sequence[str]) -> list[str]:
    """Parses as absl does, but the config's fields apart; a wrong flag is a message in one line and exit status 2."""
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
    sys.exit(2)


if __name__ == "__main__":
    app.run(main, flags_parser=_parse_flags)
