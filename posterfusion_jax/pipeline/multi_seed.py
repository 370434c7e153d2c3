"""Runs of one config with several seeds: shared stages once, then the trainings, then the results."""

import argparse
import contextlib
import pathlib
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from posterfusion_jax.config.run import Run, resolve
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.results import read_results
from posterfusion_jax.genres import check_paper_genres
from posterfusion_jax.pipeline.build import build
from posterfusion_jax.pipeline.draw import draw_posters
from posterfusion_jax.pipeline.evaluate import evaluate
from posterfusion_jax.pipeline.features import extract_features
from posterfusion_jax.pipeline.inputs import check_inputs
from posterfusion_jax.pipeline.ocr import read_words
from posterfusion_jax.pipeline.splits import check_has_split, check_result_split, open_training_dataset
from posterfusion_jax.pipeline.train import train_model
from posterfusion_jax.pipeline.train_seeds import train_model_seeds
from posterfusion_jax.pipeline.workdir import lock_workdir
from posterfusion_jax.utils.user_path import quote_path


def run_seeds(
    config: ConfigDict, root: pathlib.Path, seeds: Sequence[int], *, split: str | None = None, paper_genres: bool = False
) -> list[Run]:
    """Run all stages from posters to results files for each seed, except those that are finished.

    With frozen encoders all seeds train in parallel in one program (`train.multi_seed`), otherwise one after the other.

    Args:
      config: the config; its seed is ignored.
      root: folder of the workdirs seed<k>, and of drawn posters, dataset and features, unless the config names other folders
        for them.
      seeds: at least one, without duplicates.
      split: split whose results are needed afterwards, checked first; None: not checked.
      paper_genres: the dataset must have the genres of the paper, in its order; checked before features and training.

    Returns:
      One run per seed, each with its results files.

    Raises:
      InputError: bad seeds, another process that works in `root`, or an input error of a stage.
    """
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise InputError(f"seeds={list(seeds)}: give at least one seed, each 0 or more, without duplicates.")
    runs = [_run(ConfigDict(config.to_dict()), seed, root) for seed in seeds]
    if split is not None:
        check_result_split(runs[0], split)
    check_inputs(runs[0], None)
    with contextlib.ExitStack() as stack:
        for workdir in (root, *(run.paths.workdir for run in runs)):
            stack.enter_context(lock_workdir(workdir))
        for stage in (draw_posters, read_words, build):
            stage(runs[0])
        dataset = open_training_dataset(runs[0])
        if paper_genres:
            check_paper_genres(dataset.genres, place=f"the dataset {dataset.dir}")
        if split is not None:
            check_has_split(split, dataset.splits, "the dataset")
        extract_features(runs[0])
        if runs[0].live or len(runs) == 1:
            for run in runs:
                train_model(run)
        else:
            train_model_seeds(runs, root / "training_together")
        for run in runs:
            evaluate(run)
    return runs


def _run(config: Any, seed: int, root: pathlib.Path) -> Run:
    config.seed = seed
    share_folders(config, root)
    return resolve(config, root / f"seed{seed}")


def share_folders(config: Any, root: pathlib.Path) -> None:
    """Put drawn posters, dataset and features below `root`, in place, unless the config names folders for them."""
    config.data.dataset_dir = config.data.dataset_dir or quote_path(root / "dataset")
    config.features.dir = config.features.dir or quote_path(root / "features")
    if config.data.source == "synthetic":
        config.data.posters_dir = config.data.posters_dir or quote_path(root / "posters")


def results_of(runs: Sequence[Run], split: str) -> list[dict[str, Any]]:
    """Read the results files of one split, one per seed. Raises InputError if the split was not evaluated."""
    found = [read_results(run.paths.results, split) for run in runs]
    if None in found:
        raise InputError(f"there are no results of the split {split!r}: it is not in evaluate.splits, or the dataset has none.")
    return [results for results in found if results is not None]


def seed_list(text: str) -> list[int]:
    """Parse numbers such as "0,1,2", for argparse."""
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 0,1,2") from None
