"""Open a table by its content: delimited text, JSON or Parquet; a folder of such files is one table."""

import itertools
import os
import pathlib
from collections.abc import Iterator, Sequence

from posterfusion_jax.datasets.tables.json_rows import open_json_rows
from posterfusion_jax.datasets.tables.parquet_rows import open_parquet_rows
from posterfusion_jax.datasets.tables.rows import BadRow, Row, Rows
from posterfusion_jax.datasets.tables.text_rows import open_text_rows
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.packed_files import READ_ERRORS, open_text

SUFFIXES = (".csv", ".tsv", ".txt", ".dat", ".json", ".jsonl", ".ndjson", ".parquet")
FOLDER_COLUMN = "folder"
_MOST_FILES = 10_000
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
_FOREIGN = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"%PDF", b"SQLite format 3", b"\x89HDF")
_MARKUP = (b"<!doctype", b"<html", b"<head", b"<table", b"<?xml")
_MARKUP_BYTES = 20


def open_table(path: str | pathlib.Path, *, delimiter: str = "", encoding: str = "") -> Rows:
    """Open a table.

    Args:
      path: a file, or a folder of files with the same columns; a folder gets the column "folder", which names the folder or
        file of each row ("train", "1995").
      delimiter: as for `text_rows.open_text_rows`.
      encoding: likewise.

    Raises:
      InputError: there is no such file, it cannot be read, or it is no table.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(
            f"data.table={str(path)!r} does not exist.{_neighbors(path)} Name the file with the labels of your posters."
        )
    if path.is_dir():
        return _open_folder(path, delimiter=delimiter, encoding=encoding)
    return _open_file(path, delimiter=delimiter, encoding=encoding)


def is_table_name(name: str) -> bool:
    """Return whether a file has the name of a table; it may be packed."""
    plain = name.lower()
    for packed in (".gz", ".bz2", ".xz", ".zip"):
        plain = plain.removesuffix(packed)
    return plain.endswith(SUFFIXES) and not name.startswith(".")


def _neighbors(path: pathlib.Path) -> str:
    """Return a sentence on what the folder of a missing file has."""
    if not path.parent.is_dir():
        return f" There is no folder {str(path.parent)!r} either."
    with os.scandir(path.parent) as entries:
        others = sorted(entry.name for entry in itertools.islice(entries, 1000) if is_table_name(entry.name))
    return f" That folder has {', '.join(map(repr, others[:5]))}." if others else ""


def _open_file(path: pathlib.Path, *, delimiter: str, encoding: str) -> Rows:
    try:
        with open_text(path) as text:
            head = text.file.peek(4096)[:4096].lstrip()
    except READ_ERRORS as error:
        raise InputError(f"data.table={str(path)!r} cannot be read: {error}. Is it complete, and may it be read?") from error
    if head.startswith(b"PAR1"):
        return open_parquet_rows(path)
    if head.startswith(b"{") or (head.startswith(b"[") and not delimiter):
        return open_json_rows(path)
    if head.startswith(_OLD_EXCEL):
        raise InputError(f"data.table={str(path)!r} is an Excel or Word document. Save it as CSV, in UTF-8.")
    if head.startswith(_FOREIGN) or head[:_MARKUP_BYTES].lower().startswith(_MARKUP):
        raise InputError(
            f"data.table={str(path)!r} is no table but begins with {head[:12]!r}. Give CSV, TSV, JSON, JSON lines or Parquet."
        )
    return open_text_rows(path, delimiter=delimiter, encoding=encoding)


def _open_folder(folder: pathlib.Path, *, delimiter: str, encoding: str) -> Rows:
    files = sorted(
        itertools.islice((file for file in folder.rglob("*") if file.is_file() and is_table_name(file.name)), _MOST_FILES)
    )
    if not files:
        raise InputError(f"data.table={str(folder)!r} is a folder without a table ({', '.join(SUFFIXES)}). Name the file.")
    first = _open_file(files[0], delimiter=delimiter, encoding=encoding)
    header = (*first.header, FOLDER_COLUMN)

    def read() -> Iterator[Row | BadRow]:
        for file in files:
            rows = _open_file(file, delimiter=delimiter, encoding=encoding)
            inside = file.relative_to(folder)
            name = str(inside.parent) if len(inside.parts) > 1 else file.stem
            columns = [rows.header.index(column) if column in rows.header else None for column in first.header]
            for row in rows.read():
                if isinstance(row, BadRow):
                    yield BadRow(str(inside.parent / row.place), row.reason)
                else:
                    yield Row(str(inside.parent / row.place), [*_pick(row.cells, columns), name])

    how = (*first.how, f"{len(files):,} files of {folder.name}/ are one table; the column 'folder' names the folder or file")
    return Rows(header, read, how, first.delimiter, first.encoding, FOLDER_COLUMN)


def _pick(cells: list, columns: Sequence[int | None]) -> list:
    return ["" if column is None else cells[column] for column in columns]
