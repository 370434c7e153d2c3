"""Define the names that the builder, the reader and the tests share."""

import pathlib

NAME = "imdb_posters"
VERSION = "1.1.0"  # raise it when the same inputs would give other rows, another order or other splits
SPLITS = ("train", "validation", "test")
SPLIT_BY = ("film", "poster", "file")
OTHER_GENRES = ("drop_label", "drop_film")

SPLITS_FILE = "splits.json"  # which film (or poster) is in which split, with rule, seed and hash
REPORT_FILE = "report.json"  # counts, what was left out, fingerprint of the inputs, hash of the rows
LEFT_OUT_FILE = "left_out.jsonl"  # every item left out, one per line; the report has the counts and the first names


def config_name(split_by: str) -> str:
    """Return the TFDS config of a split rule: `by_film`, `by_poster` or `by_file`."""
    return f"by_{split_by}"


def dataset_dir(data_dir: str | pathlib.Path, split_by: str) -> pathlib.Path:
    """Return the folder, built or not, of the dataset split by "film", "poster" or "file" below `data_dir`."""
    return pathlib.Path(data_dir) / NAME / config_name(split_by) / VERSION
