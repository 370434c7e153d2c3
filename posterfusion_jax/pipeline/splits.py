"""Checks of the splits of a run: needed and existing ones, from the split file at the start and later from the dataset."""

from collections.abc import Mapping
from typing import Any

from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.datasets.imdb_posters.report import PURPOSE_OF_SPLITS
from posterfusion_jax.datasets.imdb_posters.split_file import Assignment, read_split_file
from posterfusion_jax.errors import InputError
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.posters.folder import IMAGES_FOLDER, find_posters_on_disk
from posterfusion_jax.utils.console import print_message

_TRAINING = ("train", "validation")
_OWN_RULE = "set data.split_by='film', which makes all three splits"


def check_split_file(run: Run, *, to_train: bool) -> None:
    """Check the split file, before anything is computed with it.

    Args:
      run: the run.
      to_train: a training follows, so the splits that it needs must exist; otherwise the file must only be readable.

    Raises:
      InputError: an unusable file, or a needed split that is missing from the file or has no poster in the folder.
    """
    data = run.config.data
    if data.split_by != "file":
        return
    assignment = read_split_file(data.split_file)
    if not to_train:
        return
    where = f"data.split_file={data.split_file!r}"
    named = set(assignment.splits.values())
    _check_needed(named, where, f"names no {assignment.unit} of it")
    _check_evaluated(run, named, where)
    found = _splits_of_posters(run, assignment)
    if found:  # otherwise no id matches, which the build explains
        _check_needed(found, where, "names none of it that has a poster in data.posters_dir")
        _check_evaluated(run, found, where)


def open_training_dataset(run: Run) -> PosterDataset:
    """Open the built dataset. Raises InputError if there is none, or if a split lacks posters that a training needs."""
    dataset = open_run_dataset(run)
    where = f"the dataset in {str(dataset.dir)!r}"
    _check_needed(set(dataset.splits), where, "has no poster in it")
    _check_evaluated(run, set(dataset.splits), where)
    for split in run.config.evaluate.splits:
        part = dataset.report["splits"].get(split)
        if part is not None and part["films"] < 2:
            raise InputError(
                f"{where} has {part['posters']} posters in the split {split!r}, all of one film: the intervals of "
                "evaluate.splits resample films and need two. Put more films into it, or take it out of evaluate.splits."
            )
    return dataset


def evaluated_splits(run: Run, splits: Mapping[str, Any]) -> list[str]:
    """Return the splits of evaluate.splits that the dataset has.

    Args:
      run: the run.
      splits: the splits of the dataset, by name.

    Raises:
      InputError: the dataset has none of them.
    """
    _check_evaluated(run, set(splits), "the dataset")
    return [split for split in run.config.evaluate.splits if split in splits]


def state_missing_splits(run: Run, splits: Mapping[str, Any]) -> None:
    """Print which of evaluate.splits the dataset lacks, and the consequence."""
    for split in run.config.evaluate.splits:
        if split not in splits:
            rest = ", ".join(evaluated_splits(run, splits))
            print_message(
                f"evaluation: no {split} split in this dataset; only {rest} is evaluated ({PURPOSE_OF_SPLITS[split]})"
            )


def check_result_split(run: Run, split: str) -> None:
    """Raise InputError if config or split file show that a run will have no results of `split`."""
    if split not in run.config.evaluate.splits:
        raise InputError(
            f"--split={split}: there will be no results of this split, because evaluate.splits={run.config.evaluate.splits!r} "
            "lacks it. Name one of these, or add it there."
        )
    if run.config.data.split_by == "file":
        check_has_split(split, dict.fromkeys(read_split_file(run.config.data.split_file).splits.values()), "data.split_file")


def check_has_split(split: str, splits: Mapping[str, Any], where: str) -> None:
    """Raise InputError if `splits`, those of `where`, lack the split whose results are needed."""
    if split not in splits:
        known = ", ".join(name for name in SPLITS if name in splits)
        raise InputError(f"--split={split}: {where} has no such split, only {known}. Name one of these.")


def _check_needed(found: set[str], where: str, what: str) -> None:
    for split in _TRAINING:
        if split not in found:
            have = ", ".join(name for name in SPLITS if name in found) or "no split"
            raise InputError(
                f"{where} has {have} and no {split} split ({what}), but {PURPOSE_OF_SPLITS[split]}. Move some films, a tenth "
                f"for instance, into {split!r} in the split file and build the dataset again, or {_OWN_RULE}."
            )


def _check_evaluated(run: Run, found: set[str], where: str) -> None:
    wanted = tuple(run.config.evaluate.splits)
    if not found & set(wanted):
        have = tuple(name for name in SPLITS if name in found)
        raise InputError(
            f"evaluate.splits={wanted!r} names no split of {where}, which has {', '.join(have)}. Set for example "
            f'--config.evaluate.splits="{have[-1:]!r}".'
        )


def _splits_of_posters(run: Run, assignment: Assignment) -> set[str]:
    """Return the splits that have at least one poster file; stop when all named splits have one."""
    if not (run.paths.posters / IMAGES_FOLDER).is_dir():
        return set()  # posters are drawn later
    named, found = set(assignment.splits.values()), set()
    for poster in find_posters_on_disk(run.paths.posters)[0]:
        split = assignment.split_of(poster)
        if split is not None:
            found.add(split)
            if found == named:
                break
    return found
