"""Prepare the rows of each split from the user's folder, without the images' bytes."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from posterfusion_jax.datasets.imdb_posters.inputs import BuildInputs
from posterfusion_jax.datasets.imdb_posters.join import CheckImages, LeftOut, Poster, join, labels_of
from posterfusion_jax.datasets.imdb_posters.label_report import count_labels
from posterfusion_jax.datasets.imdb_posters.options import BuildOptions
from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.datasets.imdb_posters.split_file import Assignment
from posterfusion_jax.datasets.imdb_posters.splits import Film, hash_order, split_films, split_posters
from posterfusion_jax.datasets.imdb_posters.titles import read_title_table
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.utils.choose import unwired
from posterfusion_jax.utils.console import sanitize
from posterfusion_jax.utils.disk_collections import DiskList, sort_on_disk


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepared:
    """Hold the rows of each split in stored order, the split, and what was left out by kind.

    `labels` is of `label_report.count_labels`, `titles_file` holds the notes of `titles.TitleTable`, `other_files` counts the
    files of the folder that are no images.
    """

    splits: Mapping[str, Sequence[Poster]]
    assignment: Assignment
    left_out: LeftOut
    labels: Mapping[str, Any]
    titles_file: Mapping[str, Any]
    other_files: Mapping[str, int]


def prepare(
    sources: BuildInputs, options: BuildOptions, *, check_images: CheckImages | None = None, progress: bool = False
) -> Prepared:
    """Join titles, posters and records, split them, and put every split into its stored order.

    Within a split the order is that of a hash of the poster id: it does not depend on seed or folder, and
    posters of one film are not adjacent, so that a slice such as train[:10%] is a fair sample. `check_images`
    is as for `join`.

    Raises:
      InputError: no poster is left, or a split would be empty.
    """
    table = read_title_table(sources.titles_path, wanted=(poster.film_id for poster in sources.posters))
    labels = count_labels((title for _, title in table.titles.items()), other_genres=options.other_genres)
    posters, not_joined = join(
        sources.posters,
        table.titles,
        sources.texts,
        other_genres=options.other_genres,
        check_images=check_images,
        progress=progress,
    )
    left_out = LeftOut()
    for part in (sources.left_out, {"titles file line": table.skipped}, not_joined):
        for kind, items in part.items():
            left_out.add(kind, items)
    if not posters:
        counts = ", ".join(f"{kind}: {len(items)}" for kind, items in left_out.items())
        hints = "".join(f"{sanitize(name)}: did you mean {' and '.join(meant)}? " for name, meant in labels["hints"].items())[
            :500
        ]
        what, reason = next(map(sanitize, item) for items in left_out.values() for item in items)
        raise InputError(
            f"no poster of data.posters_dir can be used ({counts}). The first one left out is {what}: "
            f"{reason}. {hints}Check that {sources.titles_path.name} holds the films of the posters."
        )
    given = sources.split_file
    assignment = _make_split(posters, options) if given is None else _apply_split_file(given, posters, left_out)
    return Prepared(
        splits=_ordered_rows(posters, assignment),
        assignment=assignment,
        left_out=left_out,
        labels=labels,
        titles_file={"how": table.how, "notes": table.notes},
        other_files=sources.other_files,
    )


def _ordered_rows(posters: DiskList[Poster], assignment: Assignment) -> dict[str, Sequence[Poster]]:
    """Return the rows of each split that has any, in their stored order."""
    sizes: dict[str, int] = dict.fromkeys(SPLITS, 0)

    def assigned() -> Iterator[tuple[bytes, Poster]]:
        for poster in posters:
            split = assignment.split_of(poster)
            if split is not None:
                sizes[split] += 1
                yield bytes([SPLITS.index(split)]) + hash_order(poster.poster_id), poster

    rows = sort_on_disk(Poster.from_json, assigned())
    stops = itertools.accumulate(sizes.values())
    return {split: rows[stop - size : stop] for (split, size), stop in zip(sizes.items(), stops, strict=True) if size}


def _make_split(posters: DiskList[Poster], options: BuildOptions) -> Assignment:
    if options.split_by == "film":
        splits = split_films(_films_of(posters), fractions=options.split_fractions, seed=options.split_seed)
        rule = "by film, genre-stratified (Sechidis et al. 2011, then balanced), films weighted by their posters"
    elif options.split_by == "poster":
        ids = (poster.poster_id for poster in posters)
        splits = split_posters(ids, fractions=options.split_fractions, seed=options.split_seed)
        rule = "by poster, at random"
    else:  # "file" is handled by `_apply_split_file`
        raise unwired("data.split_by", options.split_by, "film", "poster")
    return Assignment(
        unit=options.split_by, rule=rule, splits=splits, seed=options.split_seed, fractions=options.split_fractions
    )


def _films_of(posters: DiskList[Poster]) -> Iterator[Film]:
    by_film = sort_on_disk(
        lambda film: (film[0], tuple(film[1])), ((poster.film_id, (poster.film_id, poster.genres)) for poster in posters)
    )
    for (film_id, genres), same in itertools.groupby(by_film):
        yield Film(film_id, labels_of(genres), sum(1 for _ in same))


def _apply_split_file(given: Assignment, posters: DiskList[Poster], left_out: LeftOut) -> Assignment:
    """Return the part of a given split that these posters need; add missing posters and unused ids to `left_out`."""
    used = given.limited_to(posters)
    if not used.splits:
        raise InputError(
            f"data.split_file names none of the {len(posters)} posters: its {given.unit} ids, such as "
            f"{next(iter(given.splits))!r}, are not those of data.posters_dir, such as {posters[0].poster_id!r}."
        )
    for poster in posters:
        if given.split_of(poster) is None:
            reason = f"the split file does not name {poster.film_id if given.unit == 'film' else 'it'}"
            left_out["not in the split file"].append(Skipped(poster.poster_id, reason))
    of_film = "of this film " if given.unit == "film" else ""
    for name in given.splits:
        if name not in used.splits:
            reason = f"in the split file, but no usable poster {of_film}is there"
            left_out["split file id without poster"].append(Skipped(name, reason))
    if all(split != "train" for _, split in used.splits.items()):
        raise InputError("data.split_file puts no poster of data.posters_dir into train. Give at least some.")
    return used
