"""Describe how a table is read: lines for people, and errors that show cells and name the field that helps."""

import itertools
from collections.abc import Sequence

from posterfusion_jax.datasets.sources.pictures import Picture
from posterfusion_jax.datasets.tables.columns import Roles
from posterfusion_jax.datasets.tables.row_parser import ParsedRow
from posterfusion_jax.datasets.tables.rows import Row, Rows
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.image_files import shown
from posterfusion_jax.utils.console import sanitize
from posterfusion_jax.utils.disk_collections import DiskList

_EXAMPLES = 3
_WIDTH = 60  # characters of a cell in a message


def ids_repeat(sample: Sequence[Row], rows: Rows, roles: Roles) -> bool:
    """Return whether many rows share their id."""
    place = rows.header.index(roles.id) if roles.id else -1
    ids = [str(row.cells[place]) for row in sample]
    return place >= 0 and len(set(ids)) < 0.9 * len(ids)


def describe_group(roles: Roles) -> str:
    """Return what decides which posters stay in one split."""
    if roles.group:
        return f"group: column {roles.group!r}; its posters stay in one split"
    if roles.title:
        return f"group: {roles.title!r} and the year; posters of the same stay in one split"
    return f"group: {roles.id!r}" if roles.id else "group: the bytes of the picture; equal files stay in one split"


def example_row(row: Row, parsed: ParsedRow, names: Sequence[str], group: str) -> str:
    """Return a row as it was understood, in one line."""
    entry = parsed.entry
    about = [
        f"picture {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else ""),
        *([f"title {entry.title}"] if entry.title else []),
        *([f"year {entry.year}"] if entry.year else []),
        f"labels {', '.join(entry.labels) or 'none'}",
        f"group {group}",
    ]
    return f"{row.place}: " + "; ".join(sanitize(part, width=_WIDTH) for part in about)


def no_labels_error(place: str, rows: Rows, sample: Sequence[Row]) -> InputError:
    """Return the error of a table without labels, with the cells of its first row."""
    cells = "; ".join(
        f"{sanitize(name, width=_WIDTH)}: {sanitize(sample[0].cells[number], width=_WIDTH)!r}"
        for number, name in enumerate(rows.header[:8])
    )
    return InputError(
        f"data.table={place!r} has no column of labels that is known by its name or cells. Name it: "
        "--config.data.table_columns.labels=COLUMN, or a file with one label per row: "
        f"--config.data.table_columns.label_table=FILE. Its first row has {cells}.{_delimiter_hint(rows)}"
    )


def no_pictures_error(
    place: str, images: str, rows: Rows, parsed: Sequence[ParsedRow], roles: Roles, pictures: DiskList[Picture]
) -> InputError:
    """Return the error of a table whose rows find no picture, with what they name and the names of some pictures."""
    wanted = [sanitize(row.path or (row.ids[0] if row.ids else ""), width=_WIDTH) for row in parsed[:_EXAMPLES]]
    have = [shown(picture.name)[-_WIDTH:] for picture in pictures[:_EXAMPLES]]
    more = max(len(pictures) - _EXAMPLES, 0)
    tried = ", ".join(repr(name) for name in ([roles.picture] if roles.picture else []) + list(roles.ids)) or "no column"
    return InputError(
        f"no row of data.table={place!r} finds a picture in data.images={images!r}: rows name {', '.join(map(repr, wanted))} "
        f"(tried {tried}), the pictures are {', '.join(map(repr, have))}{f' and {more:,} more' if more else ''}. Name the "
        "right folder, the column of the pictures' names with --config.data.table_columns.picture=COLUMN, or of their ids with "
        f"--config.data.table_columns.id=COLUMN.{_delimiter_hint(rows)}"
    )


def _delimiter_hint(rows: Rows) -> str:
    """Return a sentence for a table with a single column."""
    if rows.header[1:] or not rows.delimiter:
        return ""
    cells = [sanitize(row.cells[0], width=_WIDTH) for row in itertools.islice(rows.read(), _EXAMPLES) if isinstance(row, Row)]
    return (
        f" The table has one column, {sanitize(rows.header[0], width=_WIDTH)!r}, with the cells {', '.join(map(repr, cells))}: "
        f"is data.table_columns.delimiter={rows.delimiter!r} right?"
    )
