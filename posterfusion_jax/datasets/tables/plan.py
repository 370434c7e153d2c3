"""Plan how a table is read: the meaning of its columns, the place of its labels, and how its rows name pictures."""

import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from posterfusion_jax.datasets.sources.pictures import FoundPictures
from posterfusion_jax.datasets.sources.table_columns import NO_COLUMN, TableColumns
from posterfusion_jax.datasets.tables.columns import Roles, find_roles, is_id_name
from posterfusion_jax.datasets.tables.describe import describe_group, describe_labels, no_labels_error, no_pictures_error
from posterfusion_jax.datasets.tables.label_cells import is_placeholder
from posterfusion_jax.datasets.tables.open_table import open_table
from posterfusion_jax.datasets.tables.picture_index import PictureIndex
from posterfusion_jax.datasets.tables.picture_rule import ID, PATH, PictureRule, RowPictures, other_rules, usual_rules
from posterfusion_jax.datasets.tables.row_parser import RowParser
from posterfusion_jax.datasets.tables.rows import Row, Rows, list_columns
from posterfusion_jax.datasets.tables.second_tables import Links, LongTable, find_label_table, find_links
from posterfusion_jax.errors import InputError

_LONG_COLUMNS = 3  # columns of a table in long form, at most
_REPEATED = 0.9  # share of different ids below which a table is in long form
_FILMS = ("imdb", "tmdb", "movie", "film", "tconst", "posterpath")  # first letters of columns


class TablePlan(NamedTuple):
    """Hold how a table is read.

    Attributes:
      rows: the table.
      roles: the meaning of its columns.
      rule: how rows name their pictures.
      group_id: the column of ids that names a group where a row has no other; "": the bytes of the picture do.
      label_table: the labels' own table, which is the table itself in long form; None for labels in the rows.
      links: ids of other catalogues; None without them.
      unit: what a group is: "film", "book" or "group".
      how: what was found out: lines for people.
    """

    rows: Rows
    roles: Roles
    rule: PictureRule
    group_id: str
    label_table: LongTable | None
    links: Links | None
    unit: str
    how: list[str]

    @property
    def is_long(self) -> bool:
        """Return whether the table itself has one label per row, with several rows per poster."""
        return self.label_table is not None and self.label_table.rows is self.rows


def plan_table(
    table: pathlib.Path, given: TableColumns, found: FoundPictures, index: PictureIndex, *, images: str
) -> TablePlan:
    """Return how a table is read.

    Args:
      table: a file or folder.
      given: what the user states.
      found: the pictures.
      index: the same, to look them up.
      images: their folder, for messages.

    Raises:
      InputError: the table cannot be read, has no labels, or none of its rows finds a picture.
    """
    place = str(table)
    rows = open_table(table, delimiter="" if given.delimiter == NO_COLUMN else given.delimiter, encoding=given.encoding)
    sample = rows.sample()
    if not sample:
        raise InputError(
            f"data.table={place!r} has columns ({list_columns(rows.header)}) and no row that can be read. Give a table "
            "with a row per poster."
        )
    roles = find_roles(rows.header, sample, given, place=place)
    how = list(rows.how)
    label_table = _find_labels(table, given, rows, roles, sample, how)
    links = find_links(table, rows.header, roles.id)
    if links:
        bad = f"; {links.bad_rows:,} of its rows cannot be read" if links.bad_rows else ""
        how.append(f"ids of other catalogues: {links.path.name}, columns {', '.join(links.columns)}{bad}")
    pictures = RowPictures(RowParser(rows.header, roles), index, links)
    rules = usual_rules(roles, links)
    chosen = pictures.choose(rules, (row for row in rows.read() if isinstance(row, Row)))
    others = [] if given.id or given.picture not in ("", NO_COLUMN) else other_rules(rows.header, roles)
    if chosen is None:
        chosen = pictures.choose_any(others, sample)
    if chosen is None:
        rule = rules[0] if rules else next(iter(others), PictureRule(ID, ""))
        tried = [found_rule.column for found_rule in (*rules, *others)]
        wanted = [pictures.name(rule, row) for row in sample[:3]]
        raise no_pictures_error(place, images, rows, wanted, list(dict.fromkeys(tried)), found.pictures)
    rule = chosen.rule
    how.append(f"pictures: {rule.describe(links)} names {chosen.found:,} of the first {chosen.tried:,}")
    group_id = roles.id if rule.kind == PATH and is_id_name(roles.id) else "" if rule.kind == PATH else rule.column
    how.append(describe_group(roles, group_id))
    for name, column in (("split", roles.split), ("words", roles.text)):
        if column:
            how.append(f"{name}: column {column!r}")
    return TablePlan(rows, roles, rule, group_id, label_table, links, _find_unit(rows, roles, sample), how)


def _find_labels(
    table: pathlib.Path, given: TableColumns, rows: Rows, roles: Roles, sample: Sequence[Row], how: list[str]
) -> LongTable | None:
    """Return the table of labels with one per row, None where the rows have all of theirs; add how they are read."""
    if given.label_table not in ("", NO_COLUMN) or not (roles.labels or roles.indicators):
        found = find_label_table(table, rows.header, given.label_table)
        if found is None:
            raise no_labels_error(str(table), rows, sample, roles)
        how.append(f"labels: {found.path.name}, column {found.rows.header[found.label]!r}, one in each row")
        return found
    key = roles.id or roles.picture
    if roles.labels and not roles.notation and len(rows.header) <= _LONG_COLUMNS and _repeats(rows, sample, key):
        how.append(f"labels: column {roles.labels!r}, one in each row; rows with the same {key!r} are of one poster")
        return LongTable(table, rows, rows.header.index(key), rows.header.index(roles.labels), key)
    how += describe_labels(roles)
    return None


def _repeats(rows: Rows, sample: Sequence[Row], column: str) -> bool:
    """Return whether many rows share their cell of a column."""
    if not column:
        return False
    place = rows.header.index(column)
    cells = [str(row.cells[place]) for row in sample if not is_placeholder(row.cells[place])]
    return len(set(cells)) < _REPEATED * len(cells)


def _find_unit(rows: Rows, roles: Roles, sample: Sequence[Row]) -> str:
    """Return "film" for the columns of a film catalogue or ids of IMDb, "book" with an ISBN, else "group"."""
    names = [re.sub(r"[\W_]+", "", name.lower()) for name in rows.header]
    if any("isbn" in name for name in names):
        return "book"
    if any(name.startswith(_FILMS) for name in names):
        return "film"
    ids = list(_ids_of(rows, roles, sample))
    return "film" if 2 * sum(bool(re.fullmatch(r"tt\d{5,}", value)) for value in ids) > len(ids) else "group"


def _ids_of(rows: Rows, roles: Roles, sample: Sequence[Row]) -> Iterator[str]:
    if roles.id:
        place = rows.header.index(roles.id)
        yield from (str(row.cells[place]).strip() for row in sample)
