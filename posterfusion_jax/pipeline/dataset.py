"""Dataset of a run; of a run on one fold, its view on the stored folds."""

from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters.folds import view_fold
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset, open_dataset


def open_run_dataset(run: Run) -> PosterDataset:
    """Open the built dataset, with data.folds as the run's fold sees it (`folds.view_fold`).

    Raises:
      InputError: there is none, or it does not have the run's fold.
    """
    dataset = open_dataset(run.dataset_dir)
    return view_fold(dataset, run.config.data.fold) if run.config.data.folds else dataset
