"""Find out how the rows of a table name their pictures: by a path, an id, or an id of another catalogue."""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from posterfusion_jax.datasets.tables.columns import Roles
from posterfusion_jax.datasets.tables.picture_index import NO_MATCH, Match, PictureIndex
from posterfusion_jax.datasets.tables.row_parser import RowParser
from posterfusion_jax.datasets.tables.rows import SAMPLE_ROWS, Row
from posterfusion_jax.datasets.tables.second_tables import Links

PATH, ID, LINK = "path", "id", "link"
_MOST_ROWS = 200_000  # that are tried until one finds a picture


class PictureRule(NamedTuple):
    """State how a row names its pictures.

    Attributes:
      kind: `PATH`, `ID`, or `LINK` for an id that `Links` has for the row's own.
      column: of the path or the row's own id.
      link: place in `Links.columns`.
    """

    kind: str
    column: str
    link: int = 0

    def describe(self, links: Links | None) -> str:
        """Return the column that names the pictures, for messages."""
        return repr(links.columns[self.link] if self.kind == LINK and links else self.column)


class Choice(NamedTuple):
    """Hold a rule, the number of rows that found a picture by it, and the number of rows that were tried."""

    rule: PictureRule
    found: int
    tried: int


class RowPictures:
    """Find the pictures of rows."""

    def __init__(self, parser: RowParser, index: PictureIndex, links: Links | None):
        """Take what is needed to read a row, to look up its picture, and to look up its other ids."""
        self._parser, self._index, self._links = parser, index, links

    def find(self, rule: PictureRule, row: Row) -> Match:
        """Return the pictures of a row by a rule."""
        value = self.name(rule, row)
        if not value:
            return NO_MATCH
        return self._index.find_path(value) if rule.kind == PATH else self._index.find_id(value)

    def name(self, rule: PictureRule, row: Row) -> str:
        """Return what a row has in place of its picture's name."""
        value = self._parser.text(row, rule.column)
        if rule.kind != LINK or self._links is None:
            return value
        others = self._links.by_id.get(value, ())
        return others[rule.link] if rule.link < len(others) else ""

    def choose(self, rules: Sequence[PictureRule], rows: Iterable[Row]) -> Choice | None:
        """Return the rule that finds most pictures, of equal ones the first; None where none finds one.

        The first `SAMPLE_ROWS` rows decide, or the next of as many in which a picture is found.
        """
        rows, tried = iter(rows), 0
        while tried < _MOST_ROWS and (some := list(itertools.islice(rows, SAMPLE_ROWS))):
            tried += len(some)
            counts = {rule: sum(bool(self.find(rule, row).places) for row in some) for rule in rules}
            best = max(rules, key=lambda rule: counts[rule], default=None)
            if best is not None and counts[best]:
                return Choice(best, counts[best], tried)
        return None

    def choose_any(self, rules: Sequence[PictureRule], rows: Sequence[Row]) -> Choice | None:
        """Return the rule as `choose` does, from columns that usually name no picture: most rows must have one of their own."""
        best, most = None, 0
        for rule in rules:
            places = [match.places[0] for row in rows if (match := self.find(rule, row)).places]
            if len(places) > most and 2 * len(set(places)) > len(places):
                best, most = rule, len(places)
        return Choice(best, most, len(rows)) if best else None


def usual_rules(roles: Roles, links: Links | None) -> list[PictureRule]:
    """Return the rules of the columns that may name pictures, in the order in which equal ones count."""
    paths = [PictureRule(PATH, column) for column in roles.paths]
    ids = [PictureRule(ID, column) for column in roles.ids]
    others = [PictureRule(LINK, roles.id, number) for number in range(len(links.columns))] if links else []
    return [*paths, *ids, *others]


def other_rules(header: Sequence[str], roles: Roles) -> list[PictureRule]:
    """Return rules for all other columns that can have a name or an id."""
    used = {*roles.paths, *roles.ids, *roles.indicators, roles.labels, roles.split, roles.text}
    return [PictureRule(ID, column) for column in header if column not in used]
