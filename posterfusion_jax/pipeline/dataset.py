"""Dataset of a run; of a run on one fold, its view on the stored folds."""

import pathlib

from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters import paths
from posterfusion_jax.datasets.imdb_posters.folds import view_fold
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset, open_dataset

_OF_FILMS = ("folder", "synthetic")  # values of data.source: posters of films as IMDb names them


def dataset_dir(run: Run) -> pathlib.Path:
    """Return the folder of the run's dataset, built or not; all folds of a cross-validation have the same one."""
    name = paths.NAME if has_films(run) else paths.OTHER_NAME
    return paths.dataset_dir(run.paths.dataset, run.config.data.split_by, folds=fold_count(run), name=name)


def open_run_dataset(run: Run) -> PosterDataset:
    """Open the built dataset, with data.folds as the run's fold sees it (`folds.view_fold`).

    Raises:
      InputError: there is none, or it does not have the run's fold.
    """
    dataset = open_dataset(dataset_dir(run))
    return view_fold(dataset, getattr(run.config.data, "fold", 0)) if fold_count(run) else dataset


def fold_count(run: Run) -> int:
    """Return the number of folds of the run's cross-validation; 0: the dataset has train, validation and test."""
    return getattr(run.config.data, "folds", 0)


def has_films(run: Run) -> bool:
    """Return whether the posters are of films, with ids as IMDb gives them."""
    return run.config.data.source in _OF_FILMS
