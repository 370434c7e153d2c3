"""Outputs of the training of a run; their metadata ties them to config, dataset and encoders, which later stages check."""

import importlib.metadata
import pathlib
from collections.abc import Mapping
from typing import Any

from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.config import run as config_lib
from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import check_same_genres, read_genres
from posterfusion_jax.pipeline.encoders import check_encoders
from posterfusion_jax.train.outputs import Outputs
from posterfusion_jax.train.partial_epoch import PartialEpoch
from posterfusion_jax.utils.jax_environment import recorded

_PACKAGES = ("posterfusion-jax", "jax", "flax", "optax", "orbax-checkpoint", "transformers", "numpy")


def make_outputs(run: Run, dataset: PosterDataset, encoders: dict[str, Any], checkpoints: Checkpoints) -> Outputs:
    """Return the outputs of a run in its workdir; a partial epoch of another run is refused.

    Args:
      run: the run.
      dataset: its dataset.
      encoders: {"image": passport, "text": passport}.
      checkpoints: its checkpoints.
    """

    def check(meta: dict[str, Any]) -> None:
        check_run(run, dataset, meta)
        check_encoders(encoders, meta["encoders"])

    partial_epoch = PartialEpoch(run.paths.unfinished, check)
    return Outputs(checkpoints, partial_epoch, run.paths.logs, make_meta(run, dataset, encoders))


def make_meta(run: Run, dataset: PosterDataset, encoders: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of every checkpoint's meta that describe the run.

    Args:
      run: the run.
      dataset: its dataset.
      encoders: {"image": passport, "text": passport}.
    """
    return {
        "config": config_lib.to_json(run.config),
        "genres": list(dataset.genres),
        "encoders": encoders,
        "dataset": _about_dataset(dataset),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "numerics": recorded(),
    }


def _about_dataset(dataset: PosterDataset) -> dict[str, Any]:
    splits, source = dataset.report["splits"].items(), dataset.report.get("source")
    return {
        "row_hash": dataset.fingerprint,
        "split": dataset.report["split"],
        "leak_share": dataset.report["leak_share"],
        "posters": {name: part["posters"] for name, part in splits},
        "films": {name: part["films"] for name, part in splits},
        **({"source": source} if source else {}),  # absent for films as IMDb names them
    }


def check_run(run: Run, dataset: PosterDataset, meta: Mapping[str, Any]) -> None:
    """Raise InputError if a checkpoint with this `meta` is of another config or dataset than the run."""
    config_lib.check_same_run(config_lib.to_json(run.config), meta["config"], run.paths.workdir)
    check_dataset(dataset, meta, run.paths.workdir)


def check_dataset(dataset: PosterDataset, meta: Mapping[str, Any], workdir: pathlib.Path) -> None:
    """Raise InputError if the dataset is not the one that the checkpoint was trained on, or has other genres."""
    place = f"the checkpoint in {workdir}"
    trained = read_genres(meta, place=place)
    check_same_genres(dataset.genres, trained, place_here=f"the dataset {dataset.dir}", place_there=place)
    if dataset.fingerprint != meta["dataset"]["row_hash"]:
        raise InputError(
            f"the dataset {dataset.dir} is not the one that the checkpoints in {workdir} were trained on (posters, texts, "
            "labels or split have changed). Train in another --workdir, or restore the data."
        )
