"""Count the labels that a dataset drops, by name: those outside its label set, and what is left out for them."""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from posterfusion_jax.datasets.imdb_posters.genre_hints import suggest_genres
from posterfusion_jax.datasets.label_set import PAPER13, LabelSet, label_key
from posterfusion_jax.datasets.sources.base import Entry
from posterfusion_jax.utils.console import sanitize

_CLOSE = 0.85  # ratio of difflib from which a name may be misspelt
_MOST_NAMES = 10_000  # counted separately; further names are counted together
_KEPT_NAMES = 100  # in the report
_SHOWN_NAMES = 12
_REST = "other names"
_NOT_GIVEN = "not given"
_LONGEST_NAME = 60
_NOT_RECORDED = "not recorded (an earlier version built the dataset; remove it and build it again to count them)"


def count_labels(entries: Iterable[Entry], label_set: LabelSet, *, other_genres: str) -> dict[str, Any]:
    """Count the labels of the films that have posters and a title row.

    Args:
      entries: each film once; each poster where a source has labels per poster.
      label_set: of the dataset.
      other_genres: "drop_label" or "drop_film".

    Returns:
      JSON data: `films`, `labels` (of these films); `dropped` (labels outside the set), `films_with_dropped`,
      `dropped_by_name`; `no_known_genre` (films left out because none of their genres is in the set, with the names of
      the genres); `dropped_films` (films left out by other_genres="drop_film", and the names); `hints` (name -> genres that may
      be meant); `mapped` ("spelling = name" -> count, of labels known by another spelling; absent where there
      are none). Names are sorted by their count; beyond 100 names the rest is counted as "other names".
    """
    films = labels = with_dropped = unknown = dropped_films = 0
    names, unknown_names, film_names, respelled = _Names(), _Names(), _Names(), _Names()
    for entry in entries:
        known, other, differs = label_set.map(entry.labels)
        films += 1
        labels += len(known) + len(other)
        with_dropped += bool(other)
        names.add(other)
        if differs:
            respelled.add(_respelled(entry.labels, label_set))
        if not known:
            unknown += 1
            unknown_names.add(other or (_NOT_GIVEN,))
        elif other and other_genres == "drop_film":
            dropped_films += 1
            film_names.add(other)
    by_name = names.as_json()
    hints = {name: list(meant) for name in by_name if (meant := _suggest(name, label_set))}
    return {
        **({"mapped": respelled.as_json()} if respelled else {}),
        "films": films,
        "labels": labels,
        "dropped": names.total(),
        "films_with_dropped": with_dropped,
        "dropped_by_name": by_name,
        "no_known_genre": {"films": unknown, "by_name": unknown_names.as_json()},
        "dropped_films": {"films": dropped_films, "by_name": film_names.as_json()},
        "hints": hints,
    }


def format_labels(counted: Mapping[str, Any] | None, *, unit: str = "film", number: int = 13) -> list[str]:
    """Return `count_labels` as lines for people.

    Args:
      counted: None, from an earlier version's dataset, gives one line that states so.
      unit: what has labels: "film"; a "unit" of `counted`, "poster" where each poster has its own, is used instead.
      number: of labels in the set.
    """
    outside = f"labels outside the {number} genres"
    if counted is None:
        return [f"{outside}: {_NOT_RECORDED}"]
    unit = counted.get("unit", unit)
    films = f"{counted['films']:,} {unit}s"
    if not counted["dropped"]:
        lines = [f"{outside}: none of {counted['labels']:,} on {films}"]
    else:
        shares = f"{counted['dropped']:,} of {counted['labels']:,} on {counted['films_with_dropped']:,} of {films}"
        lines = [f"{outside}: {shares} dropped ({_listed(counted['dropped_by_name'])})"]
    for kind, meaning in (
        ("no_known_genre", f"{unit}s left out, none of their genres among the {number}"),
        ("dropped_films", f"{unit}s left out by data.other_genres=drop_film"),
    ):
        if counted[kind]["films"]:
            lines.append(f"{meaning}: {counted[kind]['films']:,} ({_listed(counted[kind]['by_name'])})")
    if counted.get("mapped"):
        lines.append(f"labels mapped: {sum(counted['mapped'].values()):,} ({_listed(counted['mapped'])})")
    for name, genres in list(counted["hints"].items())[:_SHOWN_NAMES]:
        meant = " and ".join(genres)
        lines.append(
            f"{sanitize(name)} {counted['dropped_by_name'][name]:,}: did you mean {meant}? It is not mapped; write it so."
        )
    return lines


def format_choice(label_set: Mapping[str, Any] | None) -> list[str]:
    """Return which labels have too few posters for the label set, as lines; nothing for a set that was named."""
    if label_set is None or not label_set["below_count"]:
        return []
    least, count = label_set["least_posters"], label_set["below_count"]
    below = f"{count:,} label{'s' * (count > 1)} on fewer than {least} posters"
    return [f"{below} not used (data.label_min_posters): {_listed(label_set['below'])}"]


def _respelled(labels: Iterable[str], label_set: LabelSet) -> Iterator[str]:
    """Yield "spelling = name" of the labels whose spelling differs from the name in more than case."""
    for label in labels:
        name = label_set.find(label)
        if name is not None and name.casefold() != label.strip().casefold():
            yield f"{label.strip()} = {name}"


def _suggest(name: str, label_set: LabelSet) -> Sequence[str]:
    """Return the labels that an unknown name may mean."""
    if label_set.rule == PAPER13:
        return suggest_genres(name)
    keys = {label_key(known): known for known in label_set.names}
    return [keys[key] for key in difflib.get_close_matches(label_key(name), keys, n=1, cutoff=_CLOSE)]


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
