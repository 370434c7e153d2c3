"""Checks of the splits of a run: needed and existing ones, from the config at the start and later from the dataset."""

from collections.abc import Iterable, Mapping
from typing import Any

from posterfusion_jax.config.data_rules import OF_FILMS
from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.datasets.imdb_posters.report import PURPOSE_OF_SPLITS, unit_of
from posterfusion_jax.datasets.imdb_posters.split_file import Assignment, read_split_file
from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.errors import InputError
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.posters.folder import IMAGES_FOLDER, find_posters_on_disk
from posterfusion_jax.utils.console import print_message

_TRAINING = ("train", "validation")


def check_split_file(run: Run, *, to_train: bool, posters: Iterable[HasIds] | None = None) -> None:
    """Check the split that the config asks for, before anything is computed with it.

    Args:
      run: the run.
      to_train: a training follows, so the splits that it needs must exist; otherwise a split file must only be readable.
      posters: posters of a source other than a folder of films, which the split file names; iterated over twice. None: those
        of the folder; of another source none is looked up.

    Raises:
      InputError: an unusable file, a needed split that is missing from the file or has no poster, or no split that is to be
        evaluated.
    """
    data = run.config.data
    if data.split_by != "file":
        made = _made_splits(run)
        if to_train and made is not None:
            _check_evaluated(run, made, _rule(run))
        return
    if posters is None and run.config.data.source not in OF_FILMS:
        posters = ()
    assignment = read_split_file(data.split_file, posters=posters)
    if not to_train:
        return
    where = f"data.split_file={data.split_file!r}"
    named = set(assignment.splits.values())
    _check_needed(run, named, where, f"names no {assignment.unit} of it")
    _check_evaluated(run, named, where)
    found = _splits_of_posters(assignment, _posters_on_disk(run) if posters is None else posters)
    if found:  # otherwise no id matches, which the build explains
        _check_needed(run, found, where, f"names none of it that has a poster in {_place(run)}")
        _check_evaluated(run, found, where)


def open_training_dataset(run: Run) -> PosterDataset:
    """Open the built dataset. Raises InputError if there is none, or if a split lacks posters that a training needs."""
    dataset = open_run_dataset(run)
    where = f"the dataset in {str(dataset.dir)!r}"
    _check_needed(run, set(dataset.splits), where, "has no poster in it")
    _check_evaluated(run, set(dataset.splits), where)
    for split in run.config.evaluate.splits:
        part, unit = dataset.report["splits"].get(split), unit_of(dataset.report)
        if part is not None and part["films"] < 2:
            raise InputError(
                f"{where} has {part['posters']} posters in the split {split!r}, all of one {unit}: the intervals of "
                f"evaluate.splits resample {unit}s and need two. Put more {unit}s into it, or take it out of evaluate.splits."
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
        named = read_split_file(run.config.data.split_file, posters=None if run.config.data.source in OF_FILMS else ())
        check_has_split(split, dict.fromkeys(named.splits.values()), "data.split_file")
    else:
        made = _made_splits(run)
        if made is not None:
            check_has_split(split, dict.fromkeys(made), _rule(run))


def check_has_split(split: str, splits: Mapping[str, Any], where: str) -> None:
    """Raise InputError if `splits`, those of `where`, lack the split whose results are needed."""
    if split not in splits:
        known = ", ".join(name for name in SPLITS if name in splits)
        raise InputError(f"--split={split}: {where} has no such split, only {known}. Name one of these.")


def _made_splits(run: Run) -> set[str] | None:
    """Return the splits that the rule of the config makes; None where that depends on the data."""
    data = run.config.data
    if run.config.data.folds:
        return set(SPLITS)
    if data.split_by not in ("film", "group", "poster"):
        return None
    return {split for split, fraction in zip(SPLITS, data.split_fractions, strict=True) if fraction > 0}


def _rule(run: Run) -> str:
    folds = run.config.data.folds
    return f"data.folds={folds}" if folds else f"data.split_fractions={tuple(run.config.data.split_fractions)!r}"


def _check_needed(run: Run, found: set[str], where: str, what: str) -> None:
    of_films = run.config.data.source in OF_FILMS
    place = {"file": "in the split file", "column": "in the column of the source"}.get(run.config.data.split_by)
    for split in _TRAINING:
        if split not in found:
            have = ", ".join(name for name in SPLITS if name in found) or "no split"
            unit, rule = ("films", "film") if of_films else ("posters", "group")
            fix = (
                f"Move some {unit}, a tenth for instance, into {split!r} {place} and build the dataset again, or set "
                f"data.split_by={rule!r}, which makes all three splits"
            )
            if place is None:
                fix = f"Leave posters in {split!r} by data.split_fractions or data.split_years, and build the dataset again"
            raise InputError(f"{where} has {have} and no {split} split ({what}), but {PURPOSE_OF_SPLITS[split]}. {fix}.")


def _check_evaluated(run: Run, found: set[str], where: str) -> None:
    wanted = tuple(run.config.evaluate.splits)
    if not found & set(wanted):
        have = tuple(name for name in SPLITS if name in found)
        raise InputError(
            f"evaluate.splits={wanted!r} names no split of {where}, which has {', '.join(have)}. Set for example "
            f'--config.evaluate.splits="{have[-1:]!r}".'
        )


def _place(run: Run) -> str:
    """Return the field that names what the posters come from."""
    data = run.config.data
    return "data.table" if data.table else "data.images" if data.images else "data.posters_dir"


def _posters_on_disk(run: Run) -> Iterable[HasIds]:
    if not (run.paths.posters / IMAGES_FOLDER).is_dir():
        return ()  # posters are drawn later
    return find_posters_on_disk(run.paths.posters)[0]


def _splits_of_posters(assignment: Assignment, posters: Iterable[HasIds]) -> set[str]:
    """Return the splits that have at least one poster; stop when all named splits have one."""
    named, found = set(assignment.splits.values()), set()
    for poster in posters:
        split = assignment.split_of(poster)
        if split is not None:
            found.add(split)
            if found == named:
                break
    return found
