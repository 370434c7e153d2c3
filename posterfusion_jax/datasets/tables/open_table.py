"""Open a table by its content: delimited text, JSON or Parquet; a folder of such files is one table."""

import itertools
import os
import pathlib
from collections.abc import Iterator, Sequence

from posterfusion_jax.datasets.tables.json_rows import open_json_rows
from posterfusion_jax.datasets.tables.parquet_rows import open_parquet_rows
from posterfusion_jax.datasets.tables.rows import BadRow, Row, Rows, distinct_names
from posterfusion_jax.datasets.tables.text_rows import open_text_rows
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.image_files import stem_of
from posterfusion_jax.utils.packed_files import READ_ERRORS, open_text

_OTHER_FORMATS = (b"\xff\xd8\xff", b"\x89png", b"%pdf", b"sqlite format 3", b"\x89hdf", b"<!doctype", b"<html", b"<?xml")
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
SUFFIXES = (".csv", ".tsv", ".txt", ".dat", ".json", ".jsonl", ".ndjson", ".parquet")
FOLDER_COLUMN = "folder"
_FILE_COLUMN = "name of the file"
_MOST_FILES = 1_000_000
_JSON = (".json", ".jsonl", ".ndjson")
_MOST_COLUMNS = 1_000  # of a file that are compared with those of the first
_SHOWN = 5


def open_table(path: str | pathlib.Path, *, delimiter: str = "", encoding: str = "") -> Rows:
    """Open a table.

    Args:
      path: a file, or a folder of files with the same columns; a folder gets the column "folder", which names the folder or
        file of each row ("train", "1995"), and "name of the file".
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
    return _plain_name(name).endswith(SUFFIXES) and not name.startswith(".")


def _neighbors(path: pathlib.Path) -> str:
    """Return a sentence on the tables in the folder of a missing file."""
    if not path.parent.is_dir():
        return f" There is no folder {str(path.parent)!r} either."
    with os.scandir(path.parent) as entries:
        others = sorted(entry.name for entry in itertools.islice(entries, 1000) if is_table_name(entry.name))
    return f" That folder has {', '.join(map(repr, others[:_SHOWN]))}." if others else ""


def _plain_name(name: str) -> str:
    """Return a file's name in lower case without the suffixes of packed files."""
    plain = name.lower()
    for packed in (".gz", ".bz2", ".xz", ".zip"):
        plain = plain.removesuffix(packed)
    return plain


def _open_file(path: pathlib.Path, *, delimiter: str, encoding: str) -> Rows:
    try:
        with open_text(path) as text:
            head = text.file.peek(4096)[:4096].lstrip()
    except READ_ERRORS as error:
        raise InputError(f"data.table={str(path)!r} cannot be read: {error}. Is it complete, and may it be read?") from error
    if head.startswith(b"PAR1"):
        return open_parquet_rows(path)
    if head.startswith(b"{") or (head.startswith(b"[") and not delimiter) or (head and _plain_name(path.name).endswith(_JSON)):
        return open_json_rows(path)
    if head.startswith(_OLD_EXCEL):
        raise InputError(f"data.table={str(path)!r} is an Excel or Word document. Save it as CSV, in UTF-8.")
    if head.lower().startswith(_OTHER_FORMATS):
        raise InputError(
            f"data.table={str(path)!r} is no table but begins with {head[:12]!r}. Give CSV, TSV, JSON, JSON lines or Parquet."
        )
    return open_text_rows(path, delimiter=delimiter, encoding=encoding)


def _open_folder(folder: pathlib.Path, *, delimiter: str, encoding: str) -> Rows:
    files = _table_files(folder)
    if not files:
        raise InputError(f"data.table={str(folder)!r} is a folder without a table ({', '.join(SUFFIXES)}). Name the file.")
    return _Folder(folder, files, delimiter, encoding).open()


def _table_files(folder: pathlib.Path) -> list[pathlib.Path]:
    found = (file for file in folder.rglob("*") if is_table_name(file.name) and file.is_file())
    files = sorted(itertools.islice(found, _MOST_FILES + 1))
    if len(files) > _MOST_FILES:
        raise InputError(f"data.table={str(folder)!r} has over {_MOST_FILES:,} tables. Join them into one.")
    return files


class _Folder:
    """Read the files of a folder as one table, with the columns of the first."""

    def __init__(self, folder: pathlib.Path, files: list[pathlib.Path], delimiter: str, encoding: str):
        self._folder, self._files, self._delimiter, self._encoding = folder, files, delimiter, encoding
        self._first = self._open(files[0])
        self._missing: dict[str, list[str]] = {}  # column -> the first files without it
        self._further: dict[str, list[str]] = {}  # column that the first file does not have -> the first files with it
        self._remarks: list[str] = []

    def open(self) -> Rows:
        first, count = self._first, len(self._files)
        header, _ = distinct_names([*first.header, FOLDER_COLUMN, _FILE_COLUMN])
        how = f"{count:,} files of {self._folder.name}/ are one table; the column {header[-2]!r} names the folder or file"
        return Rows(
            header,
            self._read,
            (*first.how, how),
            first.delimiter,
            first.encoding,
            header[-2],
            self._all_remarks,
            tuple(self._files),
        )

    def _open(self, file: pathlib.Path) -> Rows:
        return _open_file(file, delimiter=self._delimiter, encoding=self._encoding)

    def _read(self) -> Iterator[Row | BadRow]:
        self._missing, self._further, self._remarks = {}, {}, []
        for file in self._files:
            inside = file.relative_to(self._folder)
            try:
                rows = self._open(file)
            except InputError as error:
                yield BadRow(str(inside), str(error))
                continue
            stem = stem_of(file.name)
            names = [str(inside.parent) if len(inside.parts) > 1 else stem, stem]
            columns = self._columns_of(rows, str(inside))
            for row in rows.read():
                place = str(inside.parent / row.place)
                if isinstance(row, BadRow):
                    yield BadRow(place, row.reason)
                else:
                    yield Row(place, [*_pick(row.cells, columns), *names])
            self._remarks += itertools.islice(rows.remarks(), max(_SHOWN - len(self._remarks), 0))

    def _columns_of(self, rows: Rows, name: str) -> Sequence[int | None]:
        place = {column: number for number, column in enumerate(rows.header)}
        for column in self._first.header:
            if column not in place:
                _add(self._missing, column, name)
        for column in rows.header[:_MOST_COLUMNS]:
            if column not in self._first.header:
                _add(self._further, column, name)
        return [place.get(column) for column in self._first.header]

    def _all_remarks(self) -> Sequence[str]:
        missing = [f"no column {column!r} in {', '.join(names)}" for column, names in self._missing.items()]
        further = [
            f"the column {column!r} of {', '.join(names)} is not read: {self._files[0].name}, the first file, has none"
            for column, names in self._further.items()
        ]
        return [*self._remarks, *missing[:_SHOWN], *further[:_SHOWN]]


def _add(found: dict[str, list[str]], column: str, name: str) -> None:
    if (column in found or len(found) < _SHOWN) and len(found.setdefault(column, [])) < _SHOWN:
        found[column].append(name)


def _pick(cells: list, columns: Sequence[int | None]) -> list:
    return ["" if column is None else cells[column] for column in columns]
