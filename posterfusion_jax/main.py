"""Flags to config to one mode.

    python -m posterfusion_jax.main --config=configs/quickstart.py
    python -m posterfusion_jax.main --mode=evaluate --workdir=runs/quickstart
    python -m posterfusion_jax.main --mode=predict --workdir=runs/quickstart poster.jpg folder/

Without --mode whatever is still missing is done, up to the report. Exit status: 0; 1 when not one file could be predicted;
2 when something given cannot be used or the disk is full (the message says what and how to mend it); 3 when a service has to
be asked again later (its quota, your budget, a batch job); 130 after Ctrl-C, 143 after SIGTERM. After 2, 3, 130, 143 and after
a kill the same command goes on.
"""

import json
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # XLA's start-up notes

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from posterfusion_jax.compile_cache import keep_programs
from posterfusion_jax.config_file import ConfigFileParser, config_name
from posterfusion_jax.errors import InputError, NotYet
from posterfusion_jax.full_disk import is_full_disk
from posterfusion_jax.interrupts import exit_status, keep_ctrl_c
from posterfusion_jax.terminal import keep_plain, say
from posterfusion_jax.user_path import expand_path

sys.path.append(
    str(pathlib.Path(__file__).parent.parent)
)  # config files import `configs.base`, from whatever folder they are used

if TYPE_CHECKING:
    from posterfusion_jax.config import Run

# The heavy imports stand inside the functions: OCR worker processes import this module again and need none of them.

MODES = ("ocr", "build", "features", "train", "evaluate", "predict", "report")
_FROM_CHECKPOINT = ("evaluate", "predict", "report")  # modes that need no --config: the checkpoint has it

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The run's config, e.g. configs/paper.py; override with --config.x.y=z."
)
flags.FLAGS["config"].parser = ConfigFileParser("config")
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
    keep_ctrl_c()
    logging.set_verbosity(logging.WARNING)
    keep_plain()
    try:
        sys.exit(_run(argv[1:]))
    except InputError as error:
        say(f"error: {error}", error=True)
        sys.exit(2)
    except NotYet as error:
        say(f"not finished: {error}", error=True)
        sys.exit(3)
    except KeyboardInterrupt:
        say("\ninterrupted; the same command goes on from the last finished piece of work", error=True)
        sys.exit(exit_status())
    except Exception as error:
        if not is_full_disk(error):
            raise
        say(
            f"error: the disk is full ({error}). What is finished stays: make room, and start the same command again.",
            error=True,
        )
        sys.exit(2)


def _run(names: Sequence[str]) -> int:
    mode = _MODE.value
    if names and mode != "predict":
        raise InputError(f"{names[0]!r} is not a flag. Files are only named with --mode=predict.")
    keep_programs()
    from posterfusion_jax.stages.workdir import hold

    run = _resolve()
    if mode == "predict":
        return _predict(run, list(names))
    with hold(run.paths.workdir):
        return _run_stages(run, mode)


def _run_stages(run: "Run", mode: str | None) -> int:
    from posterfusion_jax.stages.encoding import extract_features
    from posterfusion_jax.stages.evaluation import evaluate
    from posterfusion_jax.stages.posters import build, draw_posters, read_words
    from posterfusion_jax.stages.reporting import report
    from posterfusion_jax.stages.training import train_model

    stages = {
        "ocr": read_words,
        "build": build,
        "features": extract_features,
        "train": train_model,
        "evaluate": evaluate,
        "report": report,
    }
    if mode in (None, "ocr", "build"):
        draw_posters(run)
    for stage in [stages[mode]] if mode else stages.values():
        stage(run)
    return 0


def _resolve() -> "Run":
    from posterfusion_jax import config as config_lib
    from posterfusion_jax.stages.workdir import saved_config, saved_run

    config: ConfigDict | None = _CONFIG.value
    workdir = pathlib.Path(expand_path(_WORKDIR.value, "--workdir")) if _WORKDIR.value else None
    if config is None and (_MODE.value not in _FROM_CHECKPOINT or workdir is None):
        raise InputError(
            "name a config, for example --config=configs/quickstart.py (with --mode=evaluate, predict or report, "
            "--workdir=W of a trained run is enough)."
        )
    if config is not None and _RETRY.value is not None:
        config.update_from_flattened_dict({"ocr.retry": tuple(_RETRY.value)})
    workdir = workdir or pathlib.Path("runs") / config_name(config_flags.get_config_filename(flags.FLAGS["config"]))
    if config is None:
        return saved_run(workdir)
    saved = saved_config(workdir)
    if saved is not None:
        config_lib.check_same_run(config_lib.to_json(config), saved, workdir)
    return config_lib.resolve(config, workdir)


def _predict(run: "Run", names: list[str]) -> int:
    from posterfusion_jax.answers import as_json, as_text
    from posterfusion_jax.stages.prediction import predict

    good = failed = 0
    for prediction in predict(run, names, threshold=_THRESHOLD.value):
        good += prediction.error is None
        failed += prediction.error is not None
        if _JSON.value:
            print(json.dumps(as_json(prediction)), flush=True)  # ASCII, whatever is in it
        else:
            say(as_text(prediction))
    say(f"{good:,} predicted, {failed:,} failed", error=True)
    return 0 if good else 1


def _parse_flags(argv: Sequence[str]) -> list[str]:
    """As absl, but what is wrong with --config is told in a line, with the nearest field for a misspelt one."""
    try:
        names = flags.FLAGS(argv)
        if _CONFIG.value is not None:
            _CONFIG.value.to_dict()  # a file that could not be loaded is an object that raises when it is used
        return names
    except flags.Error as error:
        message = str(error)
    except Exception as error:  # whatever a user's config file may raise
        message = f"--config: {type(error).__name__}: {' '.join(str(error).split())}"
    say(f"error: {message}", error=True)
    sys.exit(2)


if __name__ == "__main__":
    app.run(main, flags_parser=_parse_flags)
