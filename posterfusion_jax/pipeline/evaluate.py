"""Stage "evaluate": results files from the best checkpoint."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from posterfusion_jax.config import run as config_lib
from posterfusion_jax.config.choices import WITHOUT_TITLE, ZERO_SHOT
from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters.absent_labels import format_absent_labels
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.predictions_csv import predictions_path, write_predictions
from posterfusion_jax.evaluation.results import (
    FORMAT,
    ResultOptions,
    SplitOutputs,
    describe_common,
    genres_of,
    make_results,
    read_results,
    write_results,
)
from posterfusion_jax.evaluation.scoring import Scorer
from posterfusion_jax.input_pipeline.ablations import mean_image, replace_images
from posterfusion_jax.input_pipeline.sources import BatchSource
from posterfusion_jax.losses.presets import is_custom_loss, loss_parameters
from posterfusion_jax.metrics.calibration import Calibration, calibrated, true_probability
from posterfusion_jax.metrics.registry import load_metrics
from posterfusion_jax.pipeline.assemble import RunComponents, assemble
from posterfusion_jax.pipeline.classifier import best_meta, open_checkpoints, read_params
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.pipeline.outputs import check_dataset
from posterfusion_jax.pipeline.splits import evaluated_splits, state_missing_splits
from posterfusion_jax.utils.choose import choose
from posterfusion_jax.utils.console import print_message
from posterfusion_jax.utils.jax_environment import recorded
from posterfusion_jax.utils.sharding import DataParallel


def evaluate(run: Run) -> None:
    """Write the results files of the splits in evaluate.splits, from the best checkpoint."""
    dataset = open_run_dataset(run)
    with open_checkpoints(run) as checkpoints:
        best, meta = best_meta(checkpoints, run.paths.workdir)
        check_dataset(dataset, meta, run.paths.workdir)
        todo = _find_missing(run, dataset, meta, best)
        if not todo:
            return
        for line in format_absent_labels(dataset.report):
            print_message(f"evaluation: {line}")
        model = assemble(run, dataset, meta["encoders"])
        params = read_params(checkpoints, best, model.classifier)
    parallel, training_mean = DataParallel(), functools.cache(lambda: mean_image(model.split("train")))
    batches = {"batch_size": run.config.train.eval_batch_size, "threads": run.config.train.loader_threads}
    scorer = Scorer(model.classifier, model.loss, parallel, **batches)
    params = parallel.replicate(params)
    for split, about in todo.items():
        source = model.split(split)
        scored = scorer.score(params, source)
        ablated = _ablated_sources(model, split, training_mean)
        outputs = SplitOutputs(
            poster_ids=source.poster_ids,
            film_ids=source.film_ids,
            genres=tuple(meta["genres"]),
            labels=source.labels,
            scores=scored.scores,
            loss=scored.loss,
            controls={name: scorer.score(params, changed).scores for name, changed in ablated.items()},
            gates=scorer.gates(params, source),
            probabilities=_probabilities(run, scored.scores, meta["calibration"]),
        )
        about = {**about, "cut_texts": _truncation(model, split)}
        results = make_results(outputs, _result_options(run, meta), about)
        titles = dataset.columns(split)["title"]
        write_predictions(run.paths.results, results, outputs.arrays(), titles=titles, calibration=meta["calibration"])
        path = write_results(run.paths.results, split, results, outputs.arrays())
        print_message(f"evaluation: {split} written to {path}")
    common = describe_common(read_results(run.paths.results, next(iter(todo))) or {})  # the same for all splits
    if common:
        print_message(f"evaluation: {common}")


def _find_missing(run: Run, dataset: PosterDataset, meta: dict[str, Any], epoch: int) -> dict[str, dict[str, Any]]:
    """Return split -> description of its results, for the splits without results of the checkpoint; print the others."""
    state_missing_splits(run, dataset.splits)
    descriptions = {split: _about(run, meta, split, epoch) for split in evaluated_splits(run, dataset.splits)}
    todo = {split: about for split, about in descriptions.items() if not _is_evaluated(run, split, about)}
    for split in descriptions:
        if split not in todo:
            table = predictions_path(run.paths.results, split)
            file = run.paths.results / f"{split}.json"
            hint = "" if table.is_file() else f"; to have {table.name}, too, remove {file} and evaluate again"
            print_message(f"evaluation: {split} is up to date{hint}")
    return todo


def _result_options(run: Run, meta: dict[str, Any]) -> ResultOptions:
    options = run.config.evaluate
    return ResultOptions(
        threshold=options.threshold,
        force_top1=options.force_top1,
        fitted=meta["thresholds"],
        resamples=options.bootstrap,
        metrics=load_metrics(options.metrics),
    )


def _truncation(model: RunComponents, split: str) -> dict[str, Any] | None:
    stats = model.truncation(split)
    if stats is None:
        print_message("evaluation: the number of truncated texts is not recorded in the features; --mode=features records it")
    return stats


def _probabilities(run: Run, scores: np.ndarray, calibration: Calibration) -> dict[str, np.ndarray]:
    """Return the probabilities of scores by name: "fitted" on validation, and "closed_form" of the training loss."""
    found = {"fitted": calibrated(scores, calibration)}
    loss = run.config.loss
    if is_custom_loss(loss.preset):  # no closed form is known
        return found
    parameters = loss_parameters(loss.preset, gamma_pos=loss.gamma_pos, gamma_neg=loss.gamma_neg, margin=loss.margin)
    # With cross-entropy the closed form is the score itself; zero-shot scores come from no loss.
    if any(parameters) and run.config.model.name != ZERO_SHOT:
        found["closed_form"] = true_probability(scores, **parameters._asdict(), stop_gradient=loss.stop_gradient)
    return found


def _ablated_sources(model: RunComponents, split: str, training_mean: Callable[[], np.ndarray]) -> dict[str, BatchSource]:
    """Return the ablated sources of a split named in evaluate.controls.

    Args:
      model: components of the run.
      split: the split to ablate.
      training_mean: returns the mean image of the training split.
    """
    make: dict[str, Callable[[], BatchSource]] = {
        "text_empty": lambda: model.split(split, text="empty"),
        "text_shuffled": lambda: model.split(split, text="shuffled"),
        "image_mean": lambda: replace_images(model.split(split), training_mean()),
        "text_without_title": lambda: model.split(split, text=WITHOUT_TITLE),
    }
    found = {}
    for name in model.run.config.evaluate.controls:
        made = choose("evaluate.controls", name, make)
        try:
            found[name] = made()
        except InputError as error:
            if name != "text_shuffled":  # the only ablation that is impossible for some splits
                raise
            print_message(f"evaluation: {name} skipped: {error}")
    return found


def read_evaluated(run: Run) -> dict[str, dict[str, Any]]:
    """Return split -> results file, for the splits in evaluate.splits that the dataset has.

    Raises:
      InputError: the results of a split are missing, or of another checkpoint or dataset.
    """
    with open_checkpoints(run) as checkpoints:
        best, meta = best_meta(checkpoints, run.paths.workdir)
    splits = evaluated_splits(run, meta["dataset"]["posters"])
    missing = [split for split in splits if not _is_evaluated(run, split, _about(run, meta, split, best))]
    if missing:
        raise InputError(f"{run.paths.results} has no results of {', '.join(missing)} of this run. Run --mode=evaluate first.")
    return {split: read_results(run.paths.results, split) or {} for split in splits}


def _about(run: Run, meta: dict[str, Any], split: str, epoch: int) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "split": split,
        "seed": run.config.seed,
        "model": run.config.model.name,
        "genres": meta["genres"],
        "checkpoint": {"epoch": epoch, "monitor": run.config.train.monitor, "validation": meta["validation"]},
        "evaluate": config_lib.to_json(run.config)["evaluate"],
        "dataset": meta["dataset"],
        "encoders": meta["encoders"],
        "config": meta["config"],
        "versions": meta["versions"],
        "numerics": {"training": meta.get("numerics", {}), "evaluation": recorded()},
    }


def _is_evaluated(run: Run, split: str, about: dict[str, Any]) -> bool:
    there = read_results(run.paths.results, split) or {}
    if there and list(genres_of(there, place=run.paths.results / f"{split}.json")) != about["genres"]:
        return False
    there["evaluate"] = {"metrics": []} | there.get("evaluate", {})  # an earlier version had no metrics of the user's own
    return all(there.get(name) == about[name] for name in ("format", "checkpoint", "evaluate", "dataset"))
