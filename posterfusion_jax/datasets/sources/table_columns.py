"""Define what a user may state about a table; everything left empty is detected."""

import dataclasses

NO_COLUMN = "none"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableColumns:
    """Hold names of columns and the notation of cells. "": detect it; "none": the table has no such column.

    Attributes:
      id: the column that names a row, and its picture where no column has a path.
      picture: paths or file names of pictures.
      group: rows with the same value stay in one split: the film of several posters.
      title: for people.
      year: a year, or a date that begins with one.
      labels: the column of labels; several columns of 0 and 1 separated by commas ("Action,Comedy"), or "*" for all such.
      split: "train", "validation" ("val", "dev") or "test".
      text: the words on the poster, in place of OCR.
      label_table: a second file with one label per row (long form); its columns are found by `id` and `labels`.
      separator: between the labels of a cell: "|", ",", ";", "/", or "list" (JSON or Python).
      delimiter: between cells: ",", "tab", ";", "|", "::".
      encoding: such as "utf-8", "latin-1".
    """

    id: str = ""
    picture: str = ""
    group: str = ""
    title: str = ""
    year: str = ""
    labels: str = ""
    split: str = ""
    text: str = ""
    label_table: str = ""
    separator: str = ""
    delimiter: str = ""
    encoding: str = ""
