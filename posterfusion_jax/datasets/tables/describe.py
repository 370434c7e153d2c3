"""Describe how a table is read: lines for people, and errors that show cells and name the field that helps."""

import itertools
from collections.abc import Sequence

from posterfusion_jax.datasets.sources.pictures import Picture
from posterfusion_jax.datasets.tables.columns import Roles
from posterfusion_jax.datasets.tables.row_parser import ParsedRow
from posterfusion_jax.datasets.tables.rows import Row, Rows, list_columns
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.image_files import shown
from posterfusion_jax.utils.console import sanitize
from posterfusion_jax.utils.disk_collections import DiskList

EXAMPLES = 3
WIDTH = 60  # characters of a cell in a message
_SHOWN_COLUMNS = 8


def describe_labels(roles: Roles) -> list[str]:
    """Return how the labels of a table's own columns are read."""
    if roles.labels:
        notation = {"": "one in each cell", "list": "lists"}.get(roles.notation, f"separated by {roles.notation!r}")
        return [f"labels: column {roles.labels!r}, {notation}"]
    names = list_columns(roles.indicators, _SHOWN_COLUMNS)
    return [f"labels: {len(roles.indicators)} columns of 0 and 1: {names}", *describe_doubtful(roles)]


def describe_doubtful(roles: Roles) -> list[str]:
    """Return a line on columns that are no labels though most of their cells are 0 or 1."""
    if not roles.doubtful:
        return []
    columns = ", ".join(
        f"{sanitize(name, width=WIDTH)} (a cell is {sanitize(cell, width=WIDTH)!r})"
        for name, cell in roles.doubtful[:_SHOWN_COLUMNS]
    )
    return [f"no labels, because not all cells are 0 or 1: {columns}"]


def describe_group(roles: Roles, group_id: str) -> str:
    """Return what decides which posters stay in one split.

    Args:
      roles: the meaning of the columns.
      group_id: the column of ids that decides where `roles` has no group and no title; "": the picture decides.
    """
    last = f"the id in {group_id!r}" if group_id else "the bytes of the picture"
    if roles.group:
        empty = f" (where it is empty, {last} decides)" if roles.group != group_id else ""
        return f"group: column {roles.group!r}; its posters stay in one split{empty}"
    if roles.title:
        return f"group: {roles.title!r} and the year; posters of the same stay in one split (without a title, {last} decides)"
    return f"group: {last}; posters of the same stay in one split"


def example_row(row: Row, parsed: ParsedRow, names: Sequence[str], group: str) -> str:
    """Return a row as it was understood, in one line."""
    entry = parsed.entry
    about = [
        f"picture {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else ""),
        *([f"title {entry.title}"] if entry.title else []),
        *([f"year {entry.year}"] if entry.year else []),
        f"labels {', '.join(entry.labels) or 'none'}",
        f"group {group or 'of the bytes of its picture'}",
    ]
    return f"{sanitize(row.place, width=WIDTH)}: " + "; ".join(sanitize(part, width=WIDTH) for part in about)


def no_labels_error(place: str, rows: Rows, sample: Sequence[Row], roles: Roles) -> InputError:
    """Return the error of a table without labels, with the cells of its first row."""
    cells = "; ".join(
        f"{sanitize(name, width=WIDTH)}: {sanitize(sample[0].cells[number], width=WIDTH)!r}"
        for number, name in enumerate(rows.header[:_SHOWN_COLUMNS])
    )
    doubtful = "".join(f" There are {line}." for line in describe_doubtful(roles))
    return InputError(
        f"data.table={place!r} has no column of labels that is known by its name or cells. Name it: "
        "--config.data.table_columns.labels=COLUMN (several columns of 0 and 1: ONE,TWO), or a file with one label per row: "
        f"--config.data.table_columns.label_table=FILE. Its first row has {cells}.{doubtful}{_delimiter_hint(rows)}"
    )


def no_pictures_error(
    place: str, images: str, rows: Rows, wanted: Sequence[str], tried: Sequence[str], pictures: DiskList[Picture]
) -> InputError:
    """Return the error of a table whose rows find no picture.

    Args:
      place: of the table.
      images: the folder of pictures.
      rows: of the table.
      wanted: what some of them name.
      tried: the columns that were tried.
      pictures: of the folder.
    """
    named = ", ".join(repr(sanitize(name, width=WIDTH)) for name in wanted[:EXAMPLES])
    have = ", ".join(repr(shown(picture.name)[-WIDTH:]) for picture in pictures[:EXAMPLES])
    more = f" and {len(pictures) - EXAMPLES:,} more" if len(pictures) > EXAMPLES else ""
    columns = ", ".join(repr(sanitize(name, width=WIDTH)) for name in tried[:_SHOWN_COLUMNS]) or "no column"
    return InputError(
        f"no row of data.table={place!r} finds a picture in data.images={images!r}: rows name {named or 'nothing'} (tried "
        f"{columns}), the pictures are {have}{more}. Name the right folder, the column of the pictures' names with "
        "--config.data.table_columns.picture=COLUMN, or of their ids with --config.data.table_columns.id=COLUMN."
        f"{_delimiter_hint(rows)}"
    )


def _delimiter_hint(rows: Rows) -> str:
    """Return a sentence for a table with a single column."""
    if len(rows.header) > 1 or not rows.delimiter:
        return ""
    first = itertools.islice((row for row in rows.read() if isinstance(row, Row)), EXAMPLES)
    cells = ", ".join(repr(sanitize(row.cells[0], width=WIDTH)) for row in first)
    return (
        f" The table has one column, {sanitize(', '.join(rows.header), width=WIDTH)!r}, with the cells {cells}: "
        f"is data.table_columns.delimiter={rows.delimiter!r} right?"
    )
