"""Define what a source is made from."""

import dataclasses

from posterfusion_jax.datasets.sources.table_columns import TableColumns


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Hold where the posters and their labels are.

    Attributes:
      kind: value of data.source: a name of `registry.SOURCES`, or "package.module:Class".
      folder: of the source, or of the pictures of a table.
      table: the file with the labels; "" for other sources.
      columns: what is known of the table's columns.
      pictures_dir: where pictures are written that lie inside other files; "" where the caller has no place for them.
    """

    kind: str
    folder: str
    table: str = ""
    columns: TableColumns = dataclasses.field(default_factory=TableColumns)
    pictures_dir: str = ""
