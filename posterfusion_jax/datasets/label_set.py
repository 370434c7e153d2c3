"""Define a label set: the ordered names that a dataset has labels for, and the spellings that mean each of them."""

import dataclasses
import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import PAPER_GENRES

PAPER13, IMDB, ALL = "paper13", "imdb", "all"  # values of data.labels; other values are the names themselves
LEAST_LABELS, MOST_LABELS = 2, 1000
_SHARE, _LEAST_POSTERS, _MOST_POSTERS = 0.01, 3, 50  # of `least_posters`
_COUNTED_SPELLINGS = 200_000  # kept apart while counting; a column of free text has a new one in every cell
_SHOWN = 5

# IMDb's genres, as title.basics spells them.
IMDB_GENRES = (
    *("Action", "Adult", "Adventure", "Animation", "Biography", "Comedy", "Crime", "Documentary", "Drama", "Family", "Fantasy"),
    *("Film-Noir", "Game-Show", "History", "Horror", "Music", "Musical", "Mystery", "News", "Reality-TV", "Romance", "Sci-Fi"),
    *("Short", "Sport", "Talk-Show", "Thriller", "War", "Western"),
)

# Other spellings of genres, without case, spaces and punctuation: only those that mean one genre and nothing besides.
ALIASES = {
    "sciencefiction": "scifi",
    "sf": "scifi",
    "syfy": "scifi",
    "animated": "animation",
    "biopic": "biography",
    "biographical": "biography",
    "bio": "biography",
    "romantic": "romance",
    "comedies": "comedy",
    "mysteries": "mystery",
    "documentaries": "documentary",
    "sports": "sport",
}


@functools.lru_cache(1 << 16)
def label_key(name: str) -> str:
    """Return what spellings of the same name share: letters and digits, without case, spaces and punctuation; see `ALIASES`."""
    key = re.sub(r"[\W_]+", "", name.casefold()) or name.strip()
    return ALIASES.get(key, key)


class Mapped(NamedTuple):
    """Hold the labels of one poster or group.

    Attributes:
      known: names of the label set, in its order.
      other: names outside the set, as they were spelled.
      respelled: the number of labels that were known by another spelling than that of the set, case aside.
    """

    known: tuple[str, ...]
    other: tuple[str, ...]
    respelled: int


@dataclasses.dataclass(frozen=True)
class LabelSet:
    """Hold ordered names, and map spellings to them.

    Two spellings mean the same where `label_key` is the same, or where an alias states so.

    Attributes:
      rule: value of data.labels that the set comes from: "paper13", "imdb", "all" or "list".
      names: in the order of the labels' columns.
      aliases: further spellings -> a name of the set.
    """

    rule: str
    names: tuple[str, ...]
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def _index(self) -> dict[str, str]:
        """Return `label_key` -> name."""
        return {label_key(name): name for name in self.names} | {label_key(alias): name for alias, name in self.aliases.items()}

    def find(self, spelling: str) -> str | None:
        """Return the name that a spelling means, or None."""
        return self._index.get(label_key(spelling))

    def map(self, labels: tuple[str, ...]) -> Mapped:
        """Return which of `labels` are in the set."""
        found = self._mapped.get(labels)
        if found is None:
            if len(self._mapped) >= _COUNTED_SPELLINGS:
                self._mapped.clear()
            found = self._mapped[labels] = self._map(labels)
        return found

    @functools.cached_property
    def _mapped(self) -> dict[tuple[str, ...], Mapped]:
        return {}

    def _map(self, labels: tuple[str, ...]) -> Mapped:
        known, other, respelled = set(), {}, 0
        for label in labels:
            name = self.find(label)
            if name is None:
                other[label] = None
            else:
                known.add(name)
                respelled += name.casefold() != label.strip().casefold()
        return Mapped(tuple(name for name in self.names if name in known), tuple(other), respelled)


def least_posters(posters: int) -> int:
    """Return the least number of posters of a label where none is given: 1 % of all, at least 3 and at most 50."""
    return min(max(round(_SHARE * posters), _LEAST_POSTERS), _MOST_POSTERS)


class LabelCounts:
    """Count the labels of a source's posters by spelling, in bounded memory.

    Attributes:
      posters: how many were counted.
      uncounted: labels that were not counted, because over 200,000 spellings were there before them.
    """

    def __init__(self) -> None:
        self.posters = self.uncounted = 0
        self._spellings: Counter[str] = Counter()

    def add(self, labels: Iterable[str]) -> None:
        """Count the labels of one poster."""
        self.posters += 1
        for label in labels:
            if label in self._spellings or len(self._spellings) < _COUNTED_SPELLINGS:
                self._spellings[label] += 1
            else:
                self.uncounted += 1

    def by_name(self) -> dict[str, int]:
        """Return name -> posters, most frequent first; a name is the most frequent of the spellings that mean the same."""
        counts: dict[str, int] = {}
        best: dict[str, str] = {}
        for spelling, count in sorted(self._spellings.items(), key=lambda item: (-item[1], item[0])):
            key = label_key(spelling)
            best.setdefault(key, spelling.strip())
            counts[key] = counts.get(key, 0) + count
        return {best[key]: count for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}


class Choice(NamedTuple):
    """Hold a label set, and what its choice left out.

    Attributes:
      labels: the set.
      least: number of posters that a label must have; 0: any.
      below: name -> posters of the names that have fewer, most frequent first; at most 100.
      below_count: how many names have fewer.
    """

    labels: LabelSet
    least: int
    below: dict[str, int]
    below_count: int


def paper_labels(aliases: Mapping[str, str] | None = None) -> LabelSet:
    """Return the label set of the paper, thirteen genres."""
    return LabelSet(PAPER13, PAPER_GENRES, aliases or {})


def choose_labels(
    wanted: Sequence[str], counts: LabelCounts, *, min_posters: int = 0, aliases: Sequence[str] = (), place: str = "the data"
) -> Choice:
    """Return the label set that `wanted` names.

    Args:
      wanted: ("paper13",), ("imdb",) for IMDb's genres with enough posters, ("all",) for all labels with enough posters, or the
        names. Names of "imdb" are in lower case, as the paper's; those of "all" in their most frequent spelling.
        Both are sorted.
      counts: of the posters. Ignored for "paper13" and names.
      min_posters: least number of posters of a label for "imdb" and "all"; 0: `least_posters`.
      aliases: "spelling=name" each: further spellings of names.
      place: what the labels come from, for messages.

    Raises:
      InputError: fewer than two names, over 1,000, a name twice, an alias of no name or of another form.
    """
    rule = wanted[0] if len(wanted) == 1 and wanted[0] in (PAPER13, IMDB, ALL) else "list"
    if rule in (PAPER13, "list"):
        names = PAPER_GENRES if rule == PAPER13 else check_names(wanted)
        return Choice(LabelSet(rule, names, parse_aliases(aliases, names)), 0, {}, 0)
    by_name = counts.by_name()
    if rule == IMDB:
        imdb = LabelSet(IMDB, tuple(name.lower() for name in IMDB_GENRES))
        found: Counter[str] = Counter()
        for name, count in by_name.items():
            genre = imdb.find(name)
            if genre is not None:
                found[genre] += count
        by_name = dict(found.most_common())
    least = min_posters or least_posters(counts.posters)
    names = tuple(sorted((name for name, count in by_name.items() if count >= least), key=lambda name: (name.casefold(), name)))
    below = {name: count for name, count in by_name.items() if count < least}
    if not LEAST_LABELS <= len(names) <= MOST_LABELS:
        raise _unusable(rule, place, names, by_name, least)
    kept = dict(list(below.items())[:100])
    return Choice(LabelSet(rule, names, parse_aliases(aliases, names)), least, kept, len(below))


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of data.labels without surrounding spaces.

    Raises:
      InputError: fewer than two, over 1,000, an empty one, or two that mean the same.
    """
    clean = tuple(name.strip() for name in names)
    given = f"data.labels={_brief(names)}"
    if not LEAST_LABELS <= len(clean) <= MOST_LABELS:
        raise InputError(
            f"{given}: {len(clean)} names. Give paper13, imdb, all, or {LEAST_LABELS} to {MOST_LABELS:,} names such as "
            "drama,comedy."
        )
    keys: dict[str, str] = {}
    for name in clean:
        if not name or not name.isprintable():
            raise InputError(f"{given}: {name!r} is no name; a name has printable characters.")
        if label_key(name) in keys:
            raise InputError(f"{given}: {name!r} and {keys[label_key(name)]!r} mean the same. Name it once.")
        keys[label_key(name)] = name
    return clean


def parse_aliases(aliases: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Return spelling -> name of items such as "Science Fiction=sci-fi".

    Args:
      aliases: the items.
      names: of the label set; empty where it is not known yet, so that only the form is checked.

    Raises:
      InputError: an item of another form, or one whose name is not among `names`.
    """
    own = {label_key(name): name for name in names}
    parsed = {}
    for item in aliases:
        spelling, equals, name = (part.strip() for part in item.rpartition("="))
        if not equals or not spelling or not name:
            raise InputError(
                f"data.label_aliases={_brief(aliases)}: {item!r} must be SPELLING=NAME, as in 'Science Fiction=sci-fi'."
            )
        if names and label_key(name) not in own:
            raise InputError(
                f"data.label_aliases={_brief(aliases)}: {name!r} is none of the {len(names)} labels ({_listed(names)})."
            )
        parsed[spelling] = own.get(label_key(name), name)
    return parsed


def _unusable(rule: str, place: str, names: Sequence[str], by_name: Mapping[str, int], least: int) -> InputError:
    most = ", ".join(f"{name!r} on {count:,}" for name, count in list(by_name.items())[:_SHOWN])
    start = f"data.labels={rule}: {place} has {len(names):,} labels with at least {least} posters"
    if len(names) > MOST_LABELS:
        return InputError(
            f"{start}, and {MOST_LABELS:,} are allowed; the most frequent are {most}. If these are no labels, name the right "
            "column with data.table_columns.labels; otherwise name the labels you want with data.labels=NAME,NAME,..."
        )
    found = f"the most frequent of {len(by_name):,} are {most}" if by_name else "there are no labels"
    return InputError(
        f"{start}, and at least {LEAST_LABELS} are needed; {found}. Lower data.label_min_posters, name the labels with "
        "data.labels=NAME,NAME,..., or name the right column with data.table_columns.labels."
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown}, ..." if len(names) > _SHOWN else shown


def _brief(value: Sequence[str]) -> str:
    text = ",".join(value)
    return text if len(text) <= 80 else text[:77] + "..."
