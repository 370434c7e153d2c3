"""Dataset of a run."""

from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters import paths
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset, open_dataset


def open_run_dataset(run: Run) -> PosterDataset:
    """Open the built dataset. Raises InputError if there is none."""
    return open_dataset(paths.dataset_dir(run.paths.dataset, run.config.data.split_by))
