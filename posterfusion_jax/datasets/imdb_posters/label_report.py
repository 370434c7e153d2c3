"""Count the labels that a dataset drops, by name: genres outside the thirteen, and films left out for them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from posterfusion_jax.datasets.imdb_posters.genre_hints import suggest_genres
from posterfusion_jax.datasets.imdb_posters.titles import Title
from posterfusion_jax.genres import NUM_GENRES
from posterfusion_jax.utils.console import sanitize

_MOST_NAMES = 10_000  # counted separately; further names are counted together
_KEPT_NAMES = 100  # in the report
_SHOWN_NAMES = 12
_REST = "other names"
_NOT_GIVEN = "not given"
_LONGEST_NAME = 60
_NOT_RECORDED = (
    f"labels outside the {NUM_GENRES} genres: not recorded (an earlier version built the dataset; remove it and build it again "
    "to count them)"
)


def count_labels(titles: Iterable[Title], *, other_genres: str) -> dict[str, Any]:
    """Count the labels of the films that have posters and a title row.

    Args:
      titles: each film once.
      other_genres: "drop_label" or "drop_film".

    Returns:
      JSON data: `films`, `labels` (of these films); `dropped` (labels outside the thirteen), `films_with_dropped`,
      `dropped_by_name`; `no_known_genre` (films left out because none of their genres is among the thirteen, with the names of
      the genres); `dropped_films` (films left out by other_genres="drop_film", and the names); `hints` (name -> genres that may
      be meant). Names are sorted by their count; beyond 100 names the rest is counted as "other names".
    """
    films = labels = with_dropped = unknown = dropped_films = 0
    names, unknown_names, film_names = _Names(), _Names(), _Names()
    for title in titles:
        films += 1
        labels += len(title.genres) + len(title.other_genres)
        with_dropped += bool(title.other_genres)
        names.add(title.other_genres)
        if not title.genres:
            unknown += 1
            unknown_names.add(title.other_genres or (_NOT_GIVEN,))
        elif title.other_genres and other_genres == "drop_film":
            dropped_films += 1
            film_names.add(title.other_genres)
    by_name = names.as_json()
    hints = {name: list(genres) for name in by_name if (genres := suggest_genres(name))}
    return {
        "films": films,
        "labels": labels,
        "dropped": names.total(),
        "films_with_dropped": with_dropped,
        "dropped_by_name": by_name,
        "no_known_genre": {"films": unknown, "by_name": unknown_names.as_json()},
        "dropped_films": {"films": dropped_films, "by_name": film_names.as_json()},
        "hints": hints,
    }


def format_labels(counted: Mapping[str, Any] | None) -> list[str]:
    """Return `count_labels` as lines for people; None, from an earlier version's dataset, gives one line that states so."""
    if counted is None:
        return [_NOT_RECORDED]
    outside = f"labels outside the {NUM_GENRES} genres"
    films = f"{counted['films']:,} films"
    if not counted["dropped"]:
        lines = [f"{outside}: none of {counted['labels']:,} on {films}"]
    else:
        shares = f"{counted['dropped']:,} of {counted['labels']:,} on {counted['films_with_dropped']:,} of {films}"
        lines = [f"{outside}: {shares} dropped ({_listed(counted['dropped_by_name'])})"]
    for kind, meaning in (
        ("no_known_genre", f"films left out, none of their genres among the {NUM_GENRES}"),
        ("dropped_films", "films left out by data.other_genres=drop_film"),
    ):
        if counted[kind]["films"]:
            lines.append(f"{meaning}: {counted[kind]['films']:,} ({_listed(counted[kind]['by_name'])})")
    for name, genres in list(counted["hints"].items())[:_SHOWN_NAMES]:
        meant = " and ".join(genres)
        lines.append(
            f"{sanitize(name)} {counted['dropped_by_name'][name]:,}: did you mean {meant}? It is not mapped; write it so."
        )
    return lines


class _Names(Counter[str]):
    """Count names, in bounded memory."""

    def add(self, names: Iterable[str]) -> None:
        for name in names:
            name = name[:_LONGEST_NAME]
            self[name if name in self or len(self) < _MOST_NAMES else _REST] += 1

    def as_json(self) -> dict[str, int]:
        """Return the most common names, and the rest as one count."""
        ordered = sorted(self.items(), key=lambda item: (-item[1], item[0]))
        kept = dict(ordered[:_KEPT_NAMES])
        rest = sum(count for _, count in ordered[_KEPT_NAMES:])
        return {**kept, _REST: kept.get(_REST, 0) + rest} if rest else kept


def _listed(by_name: Mapping[str, int]) -> str:
    shown = [f"{sanitize(name)} {count:,}" for name, count in list(by_name.items())[:_SHOWN_NAMES]]
    more = len(by_name) - len(shown)
    return ", ".join([*shown, *([f"{more:,} more names"] if more else [])])
