"""The stages of a run as functions: what the command line's modes do, from Python."""

import importlib
from collections.abc import Callable
from typing import Any

from posterfusion_jax.config.run import Run
from posterfusion_jax.errors import InputError

# JAX and what needs it is imported inside the functions: OCR and the dataset do without.

STAGES = {  # mode -> module of this package and function, in the order of a whole run
    "ocr": ("ocr", "read_words"),
    "build": ("build", "build"),
    "features": ("features", "extract_features"),
    "train": ("train", "train_model"),
    "evaluate": ("evaluate", "evaluate"),
    "report": ("report", "report"),
}


def load_stage(mode: str) -> Callable[[Run], None]:
    """Import the function of one mode alone: OCR needs no JAX, and training no charts."""
    module, function = STAGES[mode]
    return getattr(importlib.import_module(f"posterfusion_jax.pipeline.{module}"), function)


def ocr(run: Run) -> None:
    """Read the words on the run's posters that have not been read yet; synthetic posters are drawn first.

    Args:
      run: from `posterfusion_jax.resolve`.

    Raises:
      InputError: something given cannot be used; the message states what and how to fix it.
      RetryLater: a service must be asked again later (its quota, your budget, a batch job).

    Example::

        pf.pipeline.ocr(run)
    """
    _run_stage(run, "ocr")


def build(run: Run) -> None:
    """Build the run's dataset: posters, texts, genres and splits.

    Args:
      run: from `posterfusion_jax.resolve`.

    Raises:
      InputError: something given cannot be used; the message states what and how to fix it.

    Example::

        pf.pipeline.build(run)
        dataset = pf.open_dataset(run.dataset_dir)
    """
    _run_stage(run, "build")


def features(run: Run) -> None:
    """Encode the dataset's posters and texts into cached features; nothing to do for encoders that train.

    Args:
      run: from `posterfusion_jax.resolve`.

    Raises:
      InputError: no dataset, or encoders that cannot be used.

    Example::

        pf.pipeline.features(run)
    """
    _run_stage(run, "features")


def train(run: Run) -> None:
    """Train the run's model; resumes where an earlier call stopped.

    Args:
      run: from `posterfusion_jax.resolve`.

    Raises:
      InputError: no dataset or features, or the workdir holds a run with another config.

    Example::

        pf.pipeline.train(run)
    """
    _run_stage(run, "train")


def evaluate(run: Run) -> dict[str, dict[str, Any]]:
    """Evaluate the best checkpoint on the splits of `evaluate.splits`; splits that are evaluated are only read.

    Args:
      run: from `posterfusion_jax.resolve`, trained.

    Returns:
      Split -> results, as in results/<split>.json: "metrics", "intervals", "calibration" and more.

    Raises:
      InputError: nothing was trained, or with other data or encoders.

    Example::

        pf.pipeline.evaluate(run)["test"]["metrics"]["f1_macro"]
    """
    _run_stage(run, "evaluate")
    from posterfusion_jax.pipeline.evaluate import read_evaluated

    return read_evaluated(run)


def report(run: Run) -> None:
    """Write the run's report: pages, charts and a model card in `run.paths.report`.

    Args:
      run: from `posterfusion_jax.resolve`, evaluated.

    Raises:
      InputError: no results of this run.

    Example::

        pf.pipeline.report(run)
        print(run.paths.report / "report.html")
    """
    _run_stage(run, "report")


def run_all(run: Run) -> dict[str, dict[str, Any]]:
    """Run every stage that is still missing, from OCR to the report.

    Args:
      run: from `posterfusion_jax.resolve`.

    Returns:
      As `evaluate`.

    Raises:
      InputError: something given cannot be used; it is found before anything is computed where possible.
      RetryLater: a service must be asked again later.

    Example::

        results = pf.pipeline.run_all(pf.resolve(pf.load_config("quickstart"), "runs/quickstart"))
    """
    _run_stage(run, None)
    from posterfusion_jax.pipeline.evaluate import read_evaluated

    return read_evaluated(run)


def _run_stage(run: Run, name: str | None) -> None:
    """Run one stage, or with None all stages, under the workdir's lock."""
    from posterfusion_jax.pipeline.inputs import check_inputs
    from posterfusion_jax.pipeline.source import complete_run
    from posterfusion_jax.pipeline.workdir import check_trained, lock_workdir, saved_config

    if not isinstance(run, Run):
        raise InputError(f"run={run!r} is a {type(run).__name__}; make one with posterfusion_jax.resolve(config, workdir).")
    if name in ("evaluate", "report"):
        check_trained(run.paths.workdir)
    saved = saved_config(run.paths.workdir)
    run = complete_run(run, saved)
    _check_saved(run, saved)
    check_inputs(run, name)
    with lock_workdir(run.paths.workdir):
        if name in (None, "ocr", "build"):
            from posterfusion_jax.pipeline.draw import draw_posters

            draw_posters(run)
        for stage in [name] if name else STAGES:
            load_stage(stage)(run)


def _check_saved(run: Run, saved: dict[str, Any] | None) -> None:
    from posterfusion_jax.config.run import check_same_run, to_json

    if saved is not None:
        check_same_run(to_json(run.config), saved, run.paths.workdir)
