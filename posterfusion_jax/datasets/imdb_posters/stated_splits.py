"""Assign posters to splits by what their source states of them: a year, or a split."""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from posterfusion_jax.datasets.imdb_posters.paths import SPLITS
from posterfusion_jax.datasets.imdb_posters.split_file import Assignment
from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.utils.disk_collections import DiskDict, DiskList, sort_on_disk


class HasYear(HasIds, Protocol):
    """Require what the split by year needs to know about a poster."""

    @property
    def year(self) -> int | None:
        """Return the year, None where unknown."""
        ...


class StatedSplit(NamedTuple):
    """Hold an assignment, and the posters that it leaves out because their source does not state enough.

    `assignment.rule` states how the split was made, and what was found on the way.
    """

    assignment: Assignment
    left_out: DiskList[Skipped]


def check_years(years: Sequence[int]) -> tuple[int, int]:
    """Return the last year of train and the last year of validation.

    Raises:
      InputError: they are not two, or not in this order.
    """
    if len(years) != 2 or not all(isinstance(year, int) for year in years) or not 0 < years[0] < years[1]:
        raise InputError(
            f"data.split_years={tuple(years)!r}: give two years, the last one of train and the last one of validation, as in "
            "(2000, 2010); later years are test."
        )
    return years[0], years[1]


def split_years(posters: Iterable[HasYear], *, years: Sequence[int]) -> StatedSplit:
    """Split by year: train up to and including the first of `years`, validation up to and including the second, then test.

    All posters of a group go by its earliest year. Test may stay empty, as with a share of 0.

    Args:
      posters: in any order.
      years: see `check_years`.

    Returns:
      Group (film_id) -> one of `SPLITS`; and the posters of groups without a year.

    Raises:
      InputError: unusable years, or years that leave train or validation empty.
    """
    last_of_train, last_of_validation = check_years(years)
    by_group = sort_on_disk(tuple, ((poster.film_id, (poster.film_id, poster.poster_id, poster.year)) for poster in posters))
    left_out, splits = DiskList(Skipped._make), DiskDict(str)
    several, earliest, latest = 0, None, None
    counts: dict[str, int] = dict.fromkeys(SPLITS, 0)
    for group, same in itertools.groupby(by_group, key=lambda item: item[0]):
        members = list(same)
        known = {year for _, _, year in members if year is not None}
        if not known:
            for _, poster_id, _ in members:
                left_out.append(Skipped(poster_id, "neither it nor another poster of its group has a year"))
            continue
        year = min(known)
        several += len(known) > 1
        earliest, latest = min(year, earliest or year), max(year, latest or year)
        split = SPLITS[(year > last_of_train) + (year > last_of_validation)]
        splits[group] = split
        counts[split] += 1
    _check_counts(counts, years, earliest, latest, len(left_out))
    rule = f"by year: train up to {last_of_train}, validation up to {last_of_validation}, test after"
    if several:
        rule += f"; {several} {'group has' if several == 1 else 'groups have'} posters of several years, the earliest counts"
    return StatedSplit(Assignment(unit="film", rule=rule, splits=splits), left_out)


def split_column(rows: Iterable[tuple[HasIds, str]]) -> StatedSplit:
    """Split as the source does, poster by poster; a group may then have posters in several splits.

    Args:
      rows: each poster with its split, "" where the source assigns none.

    Returns:
      Poster -> one of `SPLITS`; and the posters without one of these. The rule counts the groups in several splits.

    Raises:
      InputError: no poster has a split, or none is in train.
    """
    left_out, splits = DiskList(Skipped._make), DiskDict(str)
    counts: dict[str, int] = dict.fromkeys(SPLITS, 0)

    def assigned() -> Iterable[tuple[str, tuple[str, str]]]:
        for poster, split in rows:
            if split in SPLITS:
                splits[poster.poster_id] = split
                counts[split] += 1
                yield poster.film_id, (poster.film_id, split)
            else:
                reason = (
                    f"its split is {split!r}; allowed are {', '.join(SPLITS)}" if split else "the source assigns it no split"
                )
                left_out.append(Skipped(poster.poster_id, reason))

    by_group = sort_on_disk(tuple, assigned())
    if not counts["train"]:
        found = ", ".join(f"{count} in {split}" for split, count in counts.items() if count) or "none in any split"
        first = f" The first one left out is {left_out[0].what!r}: {left_out[0].reason}." if left_out else ""
        raise InputError(
            f"data.split_by='column': the source puts no poster into train ({found}, {len(left_out)} without a split).{first} "
            "Name the column with data.table_columns.split, or choose another rule, such as data.split_by='group'."
        )
    groups = across = 0
    for _, same in itertools.groupby(by_group, key=lambda item: item[0]):
        groups += 1
        across += len({split for _, split in same}) > 1
    rule = "by the source's own split, poster by poster"
    if across:
        rule += f"; {across} of {groups} groups have posters in several splits"
    return StatedSplit(Assignment(unit="poster", rule=rule, splits=splits), left_out)


def _check_counts(
    counts: dict[str, int], years: Sequence[int], earliest: int | None, latest: int | None, without_year: int
) -> None:
    """Raise InputError if train or validation has no group."""
    empty = [split for split in ("train", "validation") if not counts[split]]
    if empty:
        known = "none has a year" if earliest is None else f"they are from {earliest} to {latest}"
        without = f", {without_year} posters have no year" if without_year else ""
        raise InputError(
            f"data.split_years={tuple(years)!r} leaves {' and '.join(empty)} empty: of {sum(counts.values())} groups with a "
            f"year, {known}{without}. Give two years within that range."
        )
