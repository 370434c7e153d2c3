"""Read labels from a table of the user's own, and pictures from a folder that its rows name."""

import functools
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from posterfusion_jax.datasets.imdb_posters.hashing import hash_file, hash_json
from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.datasets.sources.base import Entries, Pictures
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.datasets.sources.pictures import FoundPictures, find_pictures
from posterfusion_jax.datasets.sources.table_columns import NO_COLUMN, TableColumns
from posterfusion_jax.datasets.tables.load_table import LoadedTable, load_table
from posterfusion_jax.datasets.tables.picture_index import PictureIndex
from posterfusion_jax.datasets.tables.picture_rule import ID, PATH
from posterfusion_jax.datasets.tables.plan import TablePlan, plan_table
from posterfusion_jax.errors import InputError
from posterfusion_jax.posters.folder import describe_entries
from posterfusion_jax.posters.image_files import format_other_files


class TableSource:
    """Read a table and the folder of its pictures; the meaning of the columns is found out where it is not given."""

    name = "table"

    def __init__(self, table: str | pathlib.Path, images: str | pathlib.Path, columns: TableColumns | None = None):
        """Take the table's file, the folder of its pictures, and what is known of its columns."""
        self.place = str(table)
        self._table, self._images = pathlib.Path(table), pathlib.Path(images)
        self._given = columns or TableColumns()

    @property
    def unit(self) -> str:
        """Return what a group is: "film" where the columns are those of a film catalogue, "book" with an ISBN, else "group"."""
        return self._plan.unit

    def list_pictures(self) -> Pictures:
        """Return the pictures that rows name. Raises InputError where there are none, or the table cannot be read."""
        return self._loaded.pictures

    def read_entries(self, posters: Iterable[HasIds]) -> Entries:
        """Return titles and labels by poster_id."""
        loaded = self._loaded
        return Entries(loaded.entries, False, loaded.bad_rows, loaded.notes, loaded.how)

    def hash_labels(self) -> str:
        """Return the hash of the tables' bytes and of how they are read."""
        plan = self._plan
        files = list(plan.rows.files)
        files += plan.label_table.rows.files if plan.label_table and not plan.is_long else ()
        files += [plan.links.path] if plan.links else []
        read = {name: value for name, value in self.decisions().items() if not name.endswith("label_table")}
        return hash_json([[hash_file(file) for file in files], read])

    def decisions(self) -> Mapping[str, Any]:
        """Return the fields data.table_columns.* that repeat how the table is read."""
        plan = self._plan
        roles, rows, rule = plan.roles, plan.rows, plan.rule
        own = plan.label_table if plan.label_table and not plan.is_long else None
        labels = "*" if any("," in name for name in roles.indicators) else ",".join(roles.indicators)
        fields = {
            "id": rule.column if rule.kind == ID else roles.id,
            "picture": rule.column if rule.kind == PATH else "",
            "group": roles.group,
            "title": roles.title,
            "year": roles.year,
            "labels": roles.labels or labels,
            "split": roles.split,
            "text": roles.text,
            "label_table": str(own.path.absolute()) if own else "",
        }
        stated = {name: value or NO_COLUMN for name, value in fields.items()}
        if own:
            stated["labels"] = ""
        stated |= {"separator": roles.notation, "delimiter": rows.delimiter, "encoding": rows.encoding}
        own_split = {"data.split_by": "column"} if roles.split else {}
        return {f"data.table_columns.{name}": value for name, value in stated.items()} | own_split

    @functools.cached_property
    def _plan(self) -> TablePlan:
        found, index = self._found
        return plan_table(self._table, self._given, found, index, images=str(self._images))

    @functools.cached_property
    def _loaded(self) -> LoadedTable:
        found, index = self._found
        return load_table(self._plan, found, index, place=self.place)

    @functools.cached_property
    def _found(self) -> tuple[FoundPictures, PictureIndex]:
        if not self._images.is_dir():
            raise InputError(f"data.images={str(self._images)!r} is no folder. Name the folder with the pictures of the table.")
        found = find_pictures(self._images)
        if not found.pictures:
            others = format_other_files(found.other_files) or describe_entries(self._images)
            raise InputError(
                f"data.images={str(self._images)!r} holds no picture ({others}). Name the folder with the "
                "pictures of the table."
            )
        return found, PictureIndex(found.pictures)


def make(options: SourceOptions) -> TableSource:
    """Return the source of a table."""
    return TableSource(options.table, options.folder, options.columns)
