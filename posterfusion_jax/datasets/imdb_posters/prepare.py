"""From the user's folder to the rows of each split, everything but the images' bytes."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping

from posterfusion_jax.datasets.imdb_posters.join import CheckImages, LeftOut, Poster, join
from posterfusion_jax.datasets.imdb_posters.layout import SPLITS
from posterfusion_jax.datasets.imdb_posters.sources import Options, Sources
from posterfusion_jax.datasets.imdb_posters.split_file import Assignment
from posterfusion_jax.datasets.imdb_posters.splits import hash_order, split_films, split_posters
from posterfusion_jax.datasets.imdb_posters.titles import read_titles
from posterfusion_jax.errors import InputError
from posterfusion_jax.poster_folder import Skipped
from posterfusion_jax.terminal import plain


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepared:
    """The rows of each split in the order in which they are stored, the split, and what was left out by kind."""

    splits: Mapping[str, tuple[Poster, ...]]
    assignment: Assignment
    left_out: LeftOut


def prepare(sources: Sources, options: Options, *, check_images: CheckImages | None = None, progress: bool = False) -> Prepared:
    """Joins titles, posters and records, splits them, and puts every split into its stored order.

    The order within a split is that of a hash of the poster id: it is fixed, it does not depend on seed or folder, and
    posters of one film do not lie side by side, so that a slice such as train[:10%] is a fair sample. `check_images` as
    for `join`.

    Raises:
      InputError: no poster is left, or a split would be empty.
    """
    wanted = {poster.film_id for poster in sources.posters}
    titles, bad_lines = read_titles(sources.titles_path, wanted=wanted)
    posters, left_out = join(
        sources.posters,
        titles,
        other_genres=options.other_genres,
        check_images=check_images,
        progress=progress,
    )
    left_out = _merge(sources.left_out, {"titles file line": bad_lines}, left_out)
    if not posters:
        counts = ", ".join(f"{kind}: {len(items)}" for kind, items in left_out.items())
        what, reason = next(map(plain, item) for items in left_out.values() for item in items)
        raise InputError(
            f"no poster of data.posters_dir can be used ({counts}). The first one left out is {what}: "
            f"{reason}. Check that {sources.titles_path.name} holds the films of the posters."
        )
    if sources.split_file is not None:
        assignment, outside = _follow(sources.split_file, posters)
        left_out = _merge(left_out, outside)
    else:
        assignment = _assign(posters, options)
    splits = {}
    for split in SPLITS:
        rows = [poster for poster in posters if assignment.split_of(poster) == split]
        if rows:
            splits[split] = tuple(sorted(rows, key=lambda poster: hash_order(poster.poster_id)))
    return Prepared(splits=splits, assignment=assignment, left_out=left_out)


def _assign(posters: list[Poster], options: Options) -> Assignment:
    if options.split_by == "film":
        splits = split_films(
            {poster.film_id: poster.labels for poster in posters},
            posters_per_film=Counter(poster.film_id for poster in posters),
            fractions=options.split_fractions,
            seed=options.split_seed,
        )
        rule = "by film, genre-stratified (Sechidis et al. 2011, then balanced), films weighted by their posters"
    else:
        splits = split_posters(
            [poster.poster_id for poster in posters], fractions=options.split_fractions, seed=options.split_seed
        )
        rule = "by poster, at random"
    return Assignment(
        unit=options.split_by, rule=rule, splits=splits, seed=options.split_seed, fractions=options.split_fractions
    )


def _follow(given: Assignment, posters: list[Poster]) -> tuple[Assignment, LeftOut]:
    """The part of a given split that these posters need; posters it lacks and ids without posters are left out."""
    assigned = [poster for poster in posters if given.split_of(poster) is not None]
    if not assigned:
        raise InputError(
            f"data.split_file names none of the {len(posters)} posters: its {given.unit} ids, such as "
            f"{next(iter(given.splits))!r}, are not those of data.posters_dir, such as {posters[0].poster_id!r}."
        )
    used = given.limited_to(assigned)
    lacking = [
        Skipped(poster.poster_id, f"the split file does not name {poster.film_id if given.unit == 'film' else 'it'}")
        for poster in posters
        if given.split_of(poster) is None
    ]
    of_film = "of this film " if given.unit == "film" else ""
    unknown = [
        Skipped(name, f"in the split file, but no usable poster {of_film}is there")
        for name in sorted(given.splits.keys() - used.splits.keys())
    ]
    if "train" not in used.splits.values():
        raise InputError("data.split_file puts no poster of data.posters_dir into train. Give at least some.")
    return used, {"not in the split file": lacking, "split file id without poster": unknown}


def _merge(*parts: Mapping[str, Iterable[Skipped]]) -> LeftOut:
    merged: LeftOut = {}
    for part in parts:
        for kind, items in part.items():
            merged.setdefault(kind, []).extend(items)
    return {kind: items for kind, items in merged.items() if items}
