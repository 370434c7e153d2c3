"""Prepare the rows of each split from a source of posters, without the images' bytes."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from posterfusion_jax.datasets.imdb_posters.hashing import hash_order
from posterfusion_jax.datasets.imdb_posters.image_check import CheckImages
from posterfusion_jax.datasets.imdb_posters.inputs import BuildInputs, labels_name
from posterfusion_jax.datasets.imdb_posters.join import JoinRules, Poster, join
from posterfusion_jax.datasets.imdb_posters.label_report import count_labels
from posterfusion_jax.datasets.imdb_posters.options import BuildOptions
from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.datasets.imdb_posters.split_file import Assignment
from posterfusion_jax.datasets.imdb_posters.splits import Film, fold_names, split_films, split_folds, split_posters
from posterfusion_jax.datasets.imdb_posters.stated_splits import StatedSplit, split_column, split_years
from posterfusion_jax.datasets.label_set import Choice, LabelCounts, choose_labels
from posterfusion_jax.datasets.sources.base import Entries, LeftOut, Source
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.utils.choose import choose, unwired
from posterfusion_jax.utils.console import sanitize
from posterfusion_jax.utils.disk_collections import DiskDict, DiskList, sort_on_disk


@dataclasses.dataclass(frozen=True, kw_only=True)
class Labelled:
    """Hold the inputs with the titles and labels of their posters, and the label set."""

    inputs: BuildInputs
    entries: Entries
    choice: Choice


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepared:
    """Hold the rows of each split in stored order, the split, and what was left out by kind.

    `labels` is of `label_report.count_labels`; `labels_file` states how titles and labels were read (`how`, `notes`).
    """

    labelled: Labelled
    splits: Mapping[str, Sequence[Poster]]
    assignment: Assignment
    left_out: LeftOut
    labels: Mapping[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the labels' columns."""
        return self.labelled.choice.labels.names

    @property
    def labels_file(self) -> dict[str, Any]:
        """Return how titles and labels were read."""
        entries = self.labelled.entries
        return {"how": list(entries.how), "notes": dict(entries.notes)}


def read_labels(inputs: BuildInputs, options: BuildOptions) -> Labelled:
    """Read the titles and labels of the posters, and choose the label set.

    Raises:
      InputError: the labels cannot be read, or no label set can be made of them (`label_set.choose_labels`).
    """
    entries, counts = inputs.source.read_entries(inputs.posters), LabelCounts()
    for poster in inputs.posters:
        entry = entries.of(poster)
        if entry is not None:
            counts.add(entry.labels)
    choice = choose_labels(
        options.labels,
        counts,
        min_posters=options.label_min_posters,
        aliases=options.label_aliases,
        place=repr(inputs.source.place),
    )
    return Labelled(inputs=inputs, entries=entries, choice=choice)


def prepare(
    labelled: Labelled, options: BuildOptions, *, check_images: CheckImages | None = None, progress: bool = False
) -> Prepared:
    """Join posters, labels and records, split them, and put every split into its stored order.

    Within a split the order is that of a hash of the poster id: it does not depend on seed or folder, and
    posters of one film are not adjacent, so that a slice such as train[:10%] is a fair sample. `check_images`
    is as for `join`.

    Raises:
      InputError: no poster is left, or a split would be empty.
    """
    inputs, entries, label_set = labelled.inputs, labelled.entries, labelled.choice.labels
    counted = count_labels(_counted(labelled), label_set, other_genres=options.other_genres)
    labels = counted if entries.per_group else {**counted, "unit": "poster"}
    rules = JoinRules(
        label_set,
        drop_film=drops_film(options.other_genres),
        unit=inputs.source.unit,
        table=labels_name(inputs.source),
    )
    posters, not_joined = join(
        inputs.posters,
        entries,
        inputs.texts,
        rules,
        checked=inputs.checked,
        check_images=check_images,
        progress=progress,
    )
    left_out = LeftOut()
    for part in (inputs.left_out, entries.left_out, not_joined):
        for kind, items in part.items():
            left_out.add(kind, items)
    if not posters:
        raise _no_posters(labelled, labels, left_out)
    given = inputs.split_file
    if given is None:
        assignment, not_assigned = _make_split(posters, options, label_set.names)
        left_out.add("no split", not_assigned)
    else:
        assignment = _apply_split_file(given, posters, left_out, inputs.source)
    return Prepared(
        labelled=labelled,
        splits=_ordered_rows(posters, assignment, fold_names(options.folds) if options.folds else SPLITS),
        assignment=assignment,
        left_out=left_out,
        labels=labels,
    )


def drops_film(other_genres: str) -> bool:
    """Return whether a film with labels outside the set is left out."""
    return choose("data.other_genres", other_genres, {"drop_label": False, "drop_film": True})


def _counted(labelled: Labelled) -> Iterator[Any]:
    """Yield the labels of each film, or of each poster where the source has labels per poster."""
    entries = labelled.entries
    if entries.per_group:
        yield from (entry for _, entry in entries.by_key.items())
    else:
        yield from (entry for poster in labelled.inputs.posters if (entry := entries.of(poster)) is not None)


def _no_posters(labelled: Labelled, labels: Mapping[str, Any], left_out: LeftOut) -> InputError:
    counts = ", ".join(f"{kind}: {len(items)}" for kind, items in left_out.items())
    hints = "".join(f"{sanitize(name)}: did you mean {' and '.join(meant)}? " for name, meant in labels["hints"].items())[:500]
    what, reason = next(map(sanitize, item) for items in left_out.values() for item in items)
    source = labelled.inputs.source
    table = "the titles file" if source.name == "folder" else repr(source.place)
    return InputError(
        f"no poster of {source.place!r} can be used ({counts}). The first one left out is {what}: "
        f"{reason}. {hints}Check that {table} holds the {source.unit}s of the posters."
    )


def _ordered_rows(posters: DiskList[Poster], assignment: Assignment, names: Sequence[str]) -> dict[str, Sequence[Poster]]:
    """Return the rows of each split that has any, in their stored order; `names` are those of all splits."""
    sizes: dict[str, int] = dict.fromkeys(names, 0)

    def assigned() -> Iterator[tuple[bytes, Poster]]:
        for poster in posters:
            split = assignment.split_of(poster)
            if split is not None:
                sizes[split] += 1
                yield bytes([names.index(split)]) + hash_order(poster.poster_id), poster

    rows = sort_on_disk(Poster.from_json, assigned())
    stops = itertools.accumulate(sizes.values())
    return {split: rows[stop - size : stop] for (split, size), stop in zip(sizes.items(), stops, strict=True) if size}


def _make_split(posters: DiskList[Poster], options: BuildOptions, names: Sequence[str]) -> StatedSplit:
    """Return the split by the rule of the options, and the posters that it leaves out; `names` are the labels."""
    unit, seed, fractions = options.split_by, options.split_seed, options.split_fractions
    made = {"seed": seed, "fractions": fractions}
    if unit == "year":
        return split_years(posters, years=options.split_years)
    if unit == "column":
        return _add_validation(split_column((poster, poster.split) for poster in posters), posters, options, names)
    if unit == "poster":
        splits = split_posters((poster.poster_id for poster in posters), fractions=fractions, seed=seed)
        return _all_in(Assignment(unit="poster", rule="by poster, at random", splits=splits, **made))
    if unit not in ("film", "group"):  # "file" is handled by `_apply_split_file`
        raise unwired("data.split_by", unit, "film", "group", "poster", "year", "column")
    rule = f"genre-stratified (Sechidis et al. 2011, then balanced), {unit}s weighted by their posters"
    if options.folds:
        splits = split_folds(_films_of(posters, names), folds=options.folds, seed=seed, unit=unit)
        rule = f"in {options.folds} folds by {unit}, {rule}"
        return _all_in(Assignment(unit="film", rule=rule, splits=splits, seed=seed))
    splits = split_films(_films_of(posters, names), fractions=fractions, seed=seed, unit=unit)
    return _all_in(Assignment(unit="film", rule=f"by {unit}, {rule}", splits=splits, **made))


def _all_in(assignment: Assignment) -> StatedSplit:
    return StatedSplit(assignment, DiskList(Skipped._make))


def _add_validation(stated: StatedSplit, posters: DiskList[Poster], options: BuildOptions, names: Sequence[str]) -> StatedSplit:
    """Return the source's split, with a tenth of its training groups as validation where it has no validation split."""
    given = stated.assignment
    if any(split == "validation" for _, split in given.splits.items()):
        return stated
    trained = DiskList(Poster.from_json, (poster for poster in posters if given.split_of(poster) == "train"))
    parts = split_films(_films_of(trained, names), fractions=(0.9, 0.1, 0.0), seed=options.split_seed, unit="group")
    splits = DiskDict(str, given.splits.items())
    for poster in trained:
        splits[poster.poster_id] = parts[poster.film_id]
    rule = f"{given.rule}; it has no validation split: a tenth of its training groups, stratified by label, is validation"
    return stated._replace(assignment=dataclasses.replace(given, rule=rule, splits=splits, seed=options.split_seed))


def _films_of(posters: DiskList[Poster], names: Sequence[str]) -> Iterator[Film]:
    """Yield each film with the labels that any of its posters has, and the number of its posters."""
    by_film = sort_on_disk(
        lambda film: (film[0], tuple(film[1])), ((poster.film_id, (poster.film_id, poster.genres)) for poster in posters)
    )
    for film_id, same in itertools.groupby(by_film, key=lambda film: film[0]):
        genres = [genres for _, genres in same]
        yield Film(film_id, np.array([any(name in each for each in set(genres)) for name in names], np.uint8), len(genres))


def _apply_split_file(given: Assignment, posters: DiskList[Poster], left_out: LeftOut, source: Source) -> Assignment:
    """Return the part of a given split that these posters need; add missing posters and unused ids to `left_out`."""
    unit = source.unit if given.unit == "film" else "poster"
    place = "data.posters_dir" if source.name == "folder" else repr(source.place)
    used = given.limited_to(posters)
    if not used.splits:
        raise InputError(
            f"data.split_file names none of the {len(posters)} posters: its {unit} ids, such as "
            f"{next(iter(given.splits))!r}, are not those of {place}, such as {posters[0].poster_id!r}."
        )
    for poster in posters:
        if given.split_of(poster) is None:
            reason = f"the split file does not name {poster.film_id if given.unit == 'film' else 'it'}"
            left_out["not in the split file"].append(Skipped(poster.poster_id, reason))
    of_film = f"of this {unit} " if given.unit == "film" else ""
    for name in given.splits:
        if name not in used.splits:
            reason = f"in the split file, but no usable poster {of_film}is there"
            left_out["split file id without poster"].append(Skipped(name, reason))
    if all(split != "train" for _, split in used.splits.items()):
        raise InputError(f"data.split_file puts no poster of {place} into train. Give at least some.")
    return used
