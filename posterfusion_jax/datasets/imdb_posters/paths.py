"""Define the names that the builder, the reader and the tests share."""

import pathlib

NAME = "imdb_posters"  # of a dataset from a folder of films as IMDb names them
OTHER_NAME = "posters"  # of a dataset from any other source
VERSION = "1.1.0"  # raise it when the same inputs would give other rows, another order or other splits
SPLITS = ("train", "validation", "test")
SPLIT_BY = ("film", "poster", "file")
OTHER_GENRES = ("drop_label", "drop_film")

SPLITS_FILE = "splits.json"  # which film (or poster) is in which split, with rule, seed and hash
REPORT_FILE = "report.json"  # counts, what was left out, fingerprint of the inputs, hash of the rows
LEFT_OUT_FILE = "left_out.jsonl"  # every item left out, one per line; the report has the counts and the first names


def config_name(split_by: str, folds: int = 0) -> str:
    """Return the TFDS config of a split rule, such as `by_film`, or `by_film_5_folds`."""
    return f"by_{split_by}_{folds}_folds" if folds else f"by_{split_by}"


def dataset_dir(data_dir: str | pathlib.Path, split_by: str, *, folds: int = 0, name: str = NAME) -> pathlib.Path:
    """Return the folder, built or not, of a dataset below `data_dir`.

    Args:
      data_dir: the parent folder of all datasets.
      split_by: one of `SPLIT_BY`.
      folds: the number of folds; 0: a split into `SPLITS`.
      name: `NAME` or `OTHER_NAME`.
    """
    return pathlib.Path(data_dir) / name / config_name(split_by, folds) / VERSION
