"""Write CSV files that spreadsheets open without running anything that is in them."""

import csv
import os
import pathlib
from collections.abc import Iterable, Sequence

_FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four: = + - @ in full width


def neutralize_formula(text: str) -> str:
    """Return a text with an apostrophe in front if a spreadsheet could take it for a formula, such as "=cmd".

    References:
      OWASP, "CSV Injection".
    """
    return f"'{text}" if text.startswith(_FORMULA_STARTS) or text.lstrip().startswith(_FORMULA_STARTS) else text


def write_csv(path: pathlib.Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as UTF-8 with commas, one row at a time; a file of this name is replaced when the new one is complete.

    Texts are neutralized (`neutralize_formula`), in the header too; numbers are written as Python writes them, None as an
    empty cell.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(_cell, header))
        writer.writerows(map(_cell, row) for row in rows)
    os.replace(partial, path)


def _cell(value: object) -> object:
    return neutralize_formula(value) if isinstance(value, str) else value
