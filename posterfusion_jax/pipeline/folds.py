"""Runs of one config on all folds of a cross-validation: shared stages once, then one training per fold, then the results."""

import contextlib
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from posterfusion_jax.config.run import Run, keep_detected, resolve
from posterfusion_jax.datasets.imdb_posters.splits import fold_names
from posterfusion_jax.evaluation.out_of_fold import FoldOutputs, PooledScores, out_of_fold_results, pool_folds
from posterfusion_jax.evaluation.predictions_csv import write_table
from posterfusion_jax.evaluation.results import read_scores
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.pipeline.draw import draw_posters
from posterfusion_jax.pipeline.evaluate import evaluate
from posterfusion_jax.pipeline.features import extract_features
from posterfusion_jax.pipeline.inputs import check_inputs
from posterfusion_jax.pipeline.multi_seed import results_of, share_folders
from posterfusion_jax.pipeline.ocr import read_words
from posterfusion_jax.pipeline.source import complete_run
from posterfusion_jax.pipeline.splits import check_result_split
from posterfusion_jax.pipeline.train import train_model
from posterfusion_jax.pipeline.workdir import lock_workdir, saved_config
from posterfusion_jax.utils.checksums import with_checksum
from posterfusion_jax.utils.console import print_message

RESULTS_FILE = "out_of_fold.json"
TABLE_FILE = "oof_predictions.csv"
_TESTED = "test"  # the split whose scores are pooled


def run_folds(config: ConfigDict, root: pathlib.Path, folds: int) -> list[Run]:
    """Run all stages from posters to results files on each fold, except those that are finished.

    Posters, OCR records, dataset and features are those of all folds.

    Args:
      config: the config; its data.folds and data.fold are ignored.
      root: folder of the workdirs fold<k>, and of drawn posters, dataset and features, unless the config names other folders
        for them.
      folds: number of folds.

    Returns:
      One run per fold, each with its results files.

    Raises:
      InputError: a number of folds that cannot be used, another process that works in `root`, or an input error of a stage.
      RetryLater: posters are not read yet.
    """
    fold_names(folds)
    runs = [_make_run(ConfigDict(config.to_dict()), root, folds=folds, fold=fold) for fold in range(folds)]
    check_result_split(runs[0], _TESTED)
    check_inputs(runs[0], None)
    with contextlib.ExitStack() as stack:
        for workdir in (root, *(run.paths.workdir for run in runs)):
            stack.enter_context(lock_workdir(workdir))
        for stage in (draw_posters, read_words, build, extract_features):
            stage(runs[0])
        for fold, run in enumerate(runs):
            print_message(f"fold{fold} ({fold + 1} of {folds}):")
            train_model(run)
            evaluate(run)
    return runs


def write_out_of_fold(runs: Sequence[Run], root: pathlib.Path) -> dict[str, Any]:
    """Write out_of_fold.json and oof_predictions.csv into `root`, and return the content of the former.

    Args:
      runs: of `run_folds`.
      root: the folder.

    Raises:
      InputError: results that are not of these folds, or a poster that was not tested exactly once.
    """
    results = results_of(runs, _TESTED)
    outputs = [
        FoldOutputs(fold, of_fold, read_scores(run.paths.results, _TESTED))
        for fold, (run, of_fold) in enumerate(zip(runs, results, strict=True))
    ]
    titles = _titles(runs[0])
    pooled = pool_folds(outputs, poster_ids=list(titles))
    found = out_of_fold_results(outputs, pooled, resamples=runs[0].config.evaluate.bootstrap)
    _write_table(root / TABLE_FILE, pooled, titles)
    partial = root / f"{RESULTS_FILE}.partial"
    partial.write_text(json.dumps(with_checksum(found), indent=1) + "\n", encoding="utf-8")
    os.replace(partial, root / RESULTS_FILE)
    return found


def _make_run(config: Any, root: pathlib.Path, *, folds: int, fold: int) -> Run:
    share_folders(config, root)
    config.data.folds, config.data.fold = folds, fold
    workdir = root / f"fold{fold}"
    saved = saved_config(workdir)
    keep_detected(config, saved)
    return complete_run(resolve(config, workdir), saved)


def _titles(run: Run) -> dict[str, str]:
    """Return poster -> title, of the whole dataset."""
    dataset = open_run_dataset(run)
    columns = [dataset.columns(split) for split in dataset.splits]
    return {poster: title for part in columns for poster, title in zip(part["poster_id"], part["title"], strict=True)}


def _write_table(path: pathlib.Path, pooled: PooledScores, titles: dict[str, str]) -> None:
    leading = {
        "poster": pooled.poster_ids,
        "group": pooled.film_ids,
        "title": [titles[poster] for poster in pooled.poster_ids],
        "fold": pooled.folds,
    }
    write_table(path, leading, {"score": pooled.scores, "truth": pooled.labels}, labels=pooled.genres)
