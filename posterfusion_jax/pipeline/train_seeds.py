"""Stage "train" for several seeds: runs that differ in the seed only, in parallel in one program."""

import contextlib
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.config import run as config_lib
from posterfusion_jax.config.choices import ZERO_SHOT
from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.errors import InputError
from posterfusion_jax.pipeline.assemble import assemble
from posterfusion_jax.pipeline.classifier import open_checkpoints
from posterfusion_jax.pipeline.encoders import check_encoders
from posterfusion_jax.pipeline.outputs import check_dataset, make_outputs
from posterfusion_jax.pipeline.splits import open_training_dataset
from posterfusion_jax.pipeline.train import print_size, train_model
from posterfusion_jax.train.early_stopping import EarlyStopping
from posterfusion_jax.train.multi_seed import train_seeds
from posterfusion_jax.utils.console import print_message
from posterfusion_jax.utils.rng import with_threefry


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
    fresh = []
    for run in runs:
        with open_checkpoints(run) as checkpoints:
            begun = checkpoints.latest is not None
        if begun or run.config.model.name == ZERO_SHOT:  # whose result does not depend on the seed
            train_model(run)
        else:
            fresh.append(run)
    ended = _train_fresh(fresh, dataset, group) if fresh else {}
    shutil.rmtree(group, ignore_errors=not fresh)
    for seed, stopping in ended.items():
        print_message(f"training: seed {seed}: best epoch {stopping.best_epoch} of {stopping.best_epoch + stopping.waited}")


def _train_fresh(runs: Sequence[Run], dataset: PosterDataset, group: pathlib.Path) -> dict[int, EarlyStopping]:
    """Train runs without checkpoints of their own, or resume them from `group`; return early stopping by seed."""
    model = assemble(runs[0], dataset, None)
    trainer = model.make_trainer()
    print_size(model.classifier)
    with contextlib.ExitStack() as stack:
        saved = stack.enter_context(contextlib.closing(Checkpoints(group)))
        if saved.latest is not None:
            meta = saved.read_meta(saved.latest)
            _check_group(meta, runs, dataset, model.encoders, group)
            print_message(f"training: resuming after epoch {saved.latest}, all seeds together")
        outputs = {
            run.config.seed: make_outputs(run, dataset, model.encoders, stack.enter_context(open_checkpoints(run)))
            for run in runs
        }
        return train_seeds(trainer, outputs, saved)


def _check_group(
    meta: Mapping[str, Any], runs: Sequence[Run], dataset: PosterDataset, encoders: dict[str, Any], group: pathlib.Path
) -> None:
    """Raise InputError if the unfinished training in `group` is not of `runs`."""
    config_lib.check_same_run({**config_lib.to_json(runs[0].config), "seed": meta["config"]["seed"]}, meta["config"], group)
    check_dataset(dataset, meta, group)
    check_encoders(encoders, meta["encoders"])
    seeds = [run.config.seed for run in runs]
    if not set(seeds) <= set(meta["seeds"]):
        raise InputError(
            f"{group} has the unfinished training of the seeds {meta['seeds']}; now they are {seeds}. Finish those first, "
            "with the same seeds, or train these in another folder."
        )
