"""Stage "train": checkpoints from dataset and model."""

import contextlib
import functools
import importlib.metadata
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import jax
import optax

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.config import run as config_lib
from posterfusion_jax.config.choices import ZERO_SHOT
from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.errors import InputError
from posterfusion_jax.evaluation.scoring import score_split
from posterfusion_jax.genres import check_number, check_same_genres, read_genres
from posterfusion_jax.pipeline.assemble import RunComponents, assemble, loss_of, make_run_optimizer
from posterfusion_jax.pipeline.classifier import open_checkpoints
from posterfusion_jax.pipeline.encoders import check_encoders, load_run_towers, passports
from posterfusion_jax.pipeline.splits import open_training_dataset
from posterfusion_jax.pipeline.zero_shot import embed_head
from posterfusion_jax.train.early_stopping import EarlyStopping, is_finished, validation_summary
from posterfusion_jax.train.epoch_runner import (
    STEPS_PER_CALL,
    EpochRunner,
    OnDeviceEpochRunner,
    StreamingEpochRunner,
    split_bytes,
)
from posterfusion_jax.train.loop import train
from posterfusion_jax.train.metric_writer import Writers
from posterfusion_jax.train.multi_seed import SeedRun, train_seeds
from posterfusion_jax.train.partial_epoch import PartialEpoch
from posterfusion_jax.train.step import init_state, make_score_step
from posterfusion_jax.utils.console import print_message
from posterfusion_jax.utils.jax_environment import recorded
from posterfusion_jax.utils.rng import with_threefry
from posterfusion_jax.utils.sharding import DataParallel

_PACKAGES = ("posterfusion-jax", "jax", "flax", "optax", "orbax-checkpoint", "transformers", "numpy")


@with_threefry
def train_model(run: Run) -> None:
    """Train or resume until early stopping or the last epoch; zero-shot CLIP is only assembled."""
    config, paths = run.config, run.paths
    dataset = open_training_dataset(run)
    check_number(dataset.genres, place=f"the dataset {dataset.dir}")
    with open_checkpoints(run) as checkpoints:
        latest = checkpoints.latest
        saved = checkpoints.read_meta(latest) if latest is not None else None
        if saved is not None:
            config_lib.check_same_run(config_lib.to_json(config), saved["config"], paths.workdir)
            check_dataset(dataset, saved, paths.workdir)
            if config.model.name == ZERO_SHOT:
                print_message("training: none for zero_shot; embedded prompts are up to date")
                return
            if is_finished(saved, max_epochs=config.train.max_epochs, patience=config.train.patience):
                print_message(
                    f"training: up to date, finished after {saved['epoch']} epochs, "
                    f"best epoch {saved['stopping']['best_epoch']}"
                )
                return

        if config.model.name == ZERO_SHOT:
            _embed_zero_shot(run, dataset, checkpoints)
            return
        model = assemble(run, dataset, None)
        if saved is not None:
            check_encoders(model.encoders, saved["encoders"])
        loss, parallel = loss_of(run), DataParallel()
        optimizer = make_run_optimizer(run, model.classifier, train_posters=len(model.source("train").labels))
        state = init_state(model.classifier, optimizer, seed=config.seed)
        if latest is not None:
            state = checkpoints.read_state(latest, state)
            print_message(f"training: resuming after epoch {latest}")
        _print_size(state, model)

        def check(meta: dict[str, Any]) -> None:
            config_lib.check_same_run(config_lib.to_json(config), meta["config"], paths.workdir)
            check_dataset(dataset, meta, paths.workdir)
            check_encoders(model.encoders, meta["encoders"])

        outcome = train(
            parallel.replicate(state),
            _make_runner(run, model, optimizer, parallel),
            functools.partial(
                score_split,
                make_score_step(model.classifier, loss),
                source=model.source("validation"),
                parallel=parallel,
                batch_size=config.train.eval_batch_size,
                threads=config.train.loader_threads,
            ),
            model.source("validation").labels,
            checkpoints,
            PartialEpoch(paths.unfinished, check),
            Writers(paths.logs, resumed_epoch=latest or 0),
            max_epochs=config.train.max_epochs,
            patience=config.train.patience,
            monitor=config.train.monitor,
            meta=_run_meta(run, model, dataset),
            start_epoch=latest or 0,
            stopping=EarlyStopping(**saved["stopping"]) if saved else None,
        )
    ending = "stopped early" if outcome.early else "ran to the last epoch"
    print_message(f"training: {ending} after {outcome.epochs} epochs, best epoch {outcome.stopping.best_epoch}")


def _make_runner(
    run: Run, model: RunComponents, optimizer: optax.GradientTransformation, parallel: DataParallel
) -> EpochRunner:
    """Return an on-device runner for features that fit train.resident_gib, else a streaming one."""
    train, source, seed = run.config.train, model.source("train"), run.config.seed
    of = (model.classifier, optimizer, loss_of(run), source, parallel)
    if not run.live and split_bytes(source) <= train.resident_gib * 2**30:
        return OnDeviceEpochRunner(*of, seeds=seed, batch_size=train.batch_size)
    steps_per_call = 1 if run.live else STEPS_PER_CALL  # a step of fine-tuned encoders takes long enough by itself
    options = {"batch_size": train.batch_size, "max_epochs": train.max_epochs, "threads": train.loader_threads}
    return StreamingEpochRunner(*of, seed=seed, **options, steps_per_call=steps_per_call)


def _embed_zero_shot(run: Run, dataset: PosterDataset, checkpoints: Checkpoints) -> None:
    """Save zero-shot CLIP as epoch 0, with embedded prompts and thresholds fitted on the validation split."""
    towers = load_run_towers(run, dataset)
    head = embed_head(run, *towers, genres=dataset.genres)
    model = assemble(run, dataset, passports(*towers))
    parallel, validation = DataParallel(), model.source("validation")
    optimizer = make_run_optimizer(run, model.classifier, train_posters=1)
    state = init_state(model.classifier, optimizer, seed=run.config.seed).replace(params=head)
    scored = score_split(
        make_score_step(model.classifier, loss_of(run)),
        parallel.replicate(head),
        validation,
        parallel,
        batch_size=run.config.train.eval_batch_size,
        threads=run.config.train.loader_threads,
    )
    checkpoints.save(0, state, {**_run_meta(run, model, dataset), **validation_summary(0, scored, validation.labels)}, rank=0.0)
    checkpoints.wait()
    prompts = run.config.model.zero_shot_prompts
    print_message(f"training: none for zero_shot; {len(dataset.genres)} genres embedded as {', '.join(map(repr, prompts))}")


@with_threefry
def train_model_seeds(runs: Sequence[Run], group: pathlib.Path) -> None:
    """Train runs that differ in seed and workdir only, in parallel in one program.

    Finished runs are skipped; a run started alone is resumed alone.

    Args:
      runs: runs on cached features.
      group: folder of the common checkpoints of all runs during the training; it is removed at the end.

    Raises:
      InputError: `group` has the unfinished training of other seeds, or with another config, dataset or encoders.
    """
    dataset = open_training_dataset(runs[0])
    check_number(dataset.genres, place=f"the dataset {dataset.dir}")
    fresh = []
    for run in runs:
        with open_checkpoints(run) as checkpoints:
            begun = checkpoints.latest is not None
        if begun or run.config.model.name == ZERO_SHOT:  # whose result does not depend on the seed
            train_model(run)
        else:
            fresh.append(run)
    if not fresh:
        shutil.rmtree(group, ignore_errors=True)
        return
    config = fresh[0].config
    model = assemble(fresh[0], dataset, None)
    optimizer = make_run_optimizer(fresh[0], model.classifier, train_posters=len(model.source("train").labels))
    _print_size(jax.eval_shape(lambda: init_state(model.classifier, optimizer, seed=0)), model)
    with contextlib.ExitStack() as stack:
        saved = stack.enter_context(contextlib.closing(Checkpoints(group)))
        if saved.latest is not None:
            _check_group(saved.read_meta(saved.latest), fresh, model, dataset, group)
            print_message(f"training: resuming after epoch {saved.latest}, all seeds together")
        members = [
            SeedRun(
                seed=run.config.seed,
                checkpoints=stack.enter_context(open_checkpoints(run)),
                writers=lambda epoch, run=run: Writers(run.paths.logs, resumed_epoch=epoch),
                meta=_run_meta(run, model, dataset),
            )
            for run in fresh
        ]
        ended = train_seeds(
            model.classifier,
            optimizer,
            loss_of(fresh[0]),
            model.source("train"),
            model.source("validation"),
            members,
            saved,
            batch_size=config.train.batch_size,
            eval_batch_size=config.train.eval_batch_size,
            max_epochs=config.train.max_epochs,
            patience=config.train.patience,
            monitor=config.train.monitor,
        )
    shutil.rmtree(group)
    for seed, stopping in ended.items():
        print_message(f"training: seed {seed}: best epoch {stopping.best_epoch} of {stopping.best_epoch + stopping.waited}")


def _check_group(
    meta: dict[str, Any], runs: Sequence[Run], model: RunComponents, dataset: PosterDataset, group: pathlib.Path
) -> None:
    """Raise InputError if the unfinished training in `group` is not of `runs`."""
    config_lib.check_same_run({**config_lib.to_json(runs[0].config), "seed": meta["config"]["seed"]}, meta["config"], group)
    check_dataset(dataset, meta, group)
    check_encoders(model.encoders, meta["encoders"])
    seeds = [run.config.seed for run in runs]
    if not set(seeds) <= set(meta["seeds"]):
        raise InputError(
            f"{group} has the unfinished training of the seeds {meta['seeds']}; now they are {seeds}. Finish those first, "
            "with the same seeds, or train these in another folder."
        )


def _run_meta(run: Run, model: RunComponents, dataset: PosterDataset) -> dict[str, Any]:
    """Return the entries of every checkpoint's meta that describe the run."""
    return {
        "config": config_lib.to_json(run.config),
        "genres": list(dataset.genres),
        "encoders": model.encoders,
        "dataset": _about_dataset(dataset),
        "versions": _versions(),
        "numerics": recorded(),
    }


def _about_dataset(dataset: PosterDataset) -> dict[str, Any]:
    return {
        "row_hash": dataset.fingerprint,
        "split": dataset.report["split"],
        "leak_share": dataset.report["leak_share"],
        "posters": {name: part["posters"] for name, part in dataset.report["splits"].items()},
        "films": {name: part["films"] for name, part in dataset.report["splits"].items()},
    }


def check_dataset(dataset: PosterDataset, meta: dict[str, Any], workdir: pathlib.Path) -> None:
    """Raise InputError if the dataset is not the one that the checkpoint was trained on, or has other genres."""
    place = f"the checkpoint in {workdir}"
    trained = read_genres(meta, place=place)
    check_same_genres(dataset.genres, trained, place_here=f"the dataset {dataset.dir}", place_there=place)
    if dataset.fingerprint != meta["dataset"]["row_hash"]:
        raise InputError(
            f"the dataset {dataset.dir} is not the one that the checkpoints in {workdir} were trained on (posters, texts, "
            "labels or split have changed). Train in another --workdir, or restore the data."
        )


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def _print_size(state: Any, model: RunComponents) -> None:
    groups = jax.tree.leaves(model.classifier.groups(state.params))
    sizes = [leaf.size for leaf in jax.tree.leaves(state.params)]
    names = {"head": "head", "encoder": "encoder", "frozen": "frozen", "unread": "without effect: attention to a single key"}
    counts = {name: sum(s for s, g in zip(sizes, groups, strict=True) if g == name) for name in names}
    parts = ", ".join(f"{count:,} {names[name]}" for name, count in counts.items() if count)
    print_message(f"training: {sum(sizes):,} parameters ({parts}) on {jax.device_count()} {jax.default_backend()} device(s)")
