"""Present one fold of a dataset that is stored in folds as train, validation and test, without copying rows."""

import bisect
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.datasets.imdb_posters.splits import fold_names
from posterfusion_jax.errors import InputError


class _Chained(Sequence):
    """Present several sequences of rows as one; a row is read from the files when it is requested."""

    def __init__(self, parts: Sequence[Sequence[dict[str, Any]]]):
        self._parts = parts
        self._starts = [0, *itertools.accumulate(map(len, parts))]

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        place = index % len(self)
        part = bisect.bisect_right(self._starts, place) - 1
        return self._parts[part][place - self._starts[part]]


class FoldDataset(PosterDataset):
    """Give access to one fold of a cross-validation as to a dataset with the splits train, validation and test.

    `dir` and `fingerprint` are those of the stored folds, and the report is theirs, with the counts of these splits and, in
    `report["split"]`, "folds" and "fold".

    Attributes:
      members: split -> the stored folds that it consists of, in the order of its rows.
    """

    def __init__(self, stored: PosterDataset, report: dict[str, Any], members: Mapping[str, Sequence[str]]):
        """Present `stored`, whose columns are shared by all of its folds."""
        splits = {split: _Chained([stored.splits[name] for name in names]) for split, names in members.items()}
        super().__init__(stored.dir, report, splits)
        self.members = members
        self._stored = stored

    def columns(self, split: str) -> dict[str, Any]:
        """Return the rows of a split without their images, as `PosterDataset.columns` does."""
        if split not in self._columns:
            parts = [self._stored.columns(name) for name in self.members[split]]
            self._columns[split] = {name: _concatenate([part[name] for part in parts]) for name in parts[0]}
        return self._columns[split]

    def texts_without_title(self, split: str) -> list[str]:
        """Return the texts of a split without the words of their titles, as `PosterDataset.texts_without_title` does."""
        if split not in self._without_title:
            self._without_title[split] = _concatenate([self._stored.texts_without_title(name) for name in self.members[split]])
        return self._without_title[split]


def view_fold(dataset: PosterDataset, fold: int) -> FoldDataset:
    """Return a dataset of folds as train, validation and test: test is the fold, validation the next one, train the rest.

    Args:
      dataset: stored with the splits fold_0 and so on.
      fold: number of the fold to test on, from 0; after the last fold comes the first.

    Raises:
      InputError: the dataset has no folds, or not this one.
    """
    folds = len(dataset.splits)
    stored = [f"fold_{number}" for number in range(folds)]
    if set(dataset.splits) != set(stored):
        raise InputError(
            f"the dataset in {str(dataset.dir)!r} has the splits {', '.join(dataset.splits)} and no folds. Build one with "
            "data.folds, such as --config.data.folds=5."
        )
    names = fold_names(folds)
    if not 0 <= fold < folds:
        raise InputError(f"data.fold={fold}: the dataset in {str(dataset.dir)!r} has the folds 0 to {folds - 1}.")
    held_out = {"validation": names[(fold + 1) % folds], "test": names[fold]}
    train = tuple(name for name in names if name not in held_out.values())
    members = {"train": train, **{split: (name,) for split, name in held_out.items()}}
    parts = dataset.report["splits"]
    report = {
        **dataset.report,
        "split": {**dataset.report["split"], "folds": folds, "fold": fold},
        "splits": {split: _sum_counts([parts[name] for name in of_split]) for split, of_split in members.items()},
    }
    return FoldDataset(dataset, report, members)


def _sum_counts(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sums of nested counts; a count that a part lacks is 0."""
    names = list(dict.fromkeys(name for part in parts for name in part))
    summed: dict[str, Any] = {}
    for name in names:
        values = [part[name] for part in parts if name in part]
        summed[name] = _sum_counts(values) if isinstance(values[0], Mapping) else sum(values)
    return summed


def _concatenate(parts: Sequence[Any]) -> Any:
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return list(itertools.chain.from_iterable(parts))
