"""Read a folder of films as IMDb names them: title.basics.tsv.gz, and images/<tconst>_<k>.jpg."""

import hashlib
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from posterfusion_jax.datasets.imdb_posters.splits import HasIds
from posterfusion_jax.datasets.imdb_posters.titles import find_titles, read_title_table
from posterfusion_jax.datasets.sources.base import Entries, LeftOut, Pictures
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.posters.folder import list_folder


class ImdbFolderSource:
    """Read titles and genres from IMDb's file, and posters named by their film."""

    name, unit = "folder", "film"

    def __init__(self, folder: str | pathlib.Path):
        """Take the folder with title.basics.tsv.gz and images/."""
        self.place = str(folder)
        self._folder = pathlib.Path(folder)

    def list_pictures(self) -> Pictures:
        """List the posters. Raises InputError as `posters.folder.list_folder`."""
        posters, misnamed, other_files = list_folder(self._folder)
        left_out = LeftOut()
        left_out.add("file name", misnamed)
        return Pictures(posters, left_out, other_files)

    def read_entries(self, posters: Iterable[HasIds]) -> Entries:
        """Read the films of the posters. Raises InputError as `titles.read_title_table`."""
        table = read_title_table(find_titles(self._folder), wanted=(poster.film_id for poster in posters))
        left_out = LeftOut()
        left_out.add("titles file line", table.skipped)
        return Entries(table.titles, True, left_out, table.notes, table.how)

    def hash_labels(self) -> str:
        """Return the hash of the titles file's bytes. Raises InputError where there is none."""
        with find_titles(self._folder).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def decisions(self) -> Mapping[str, Any]:
        """Return nothing: nothing is detected."""
        return {}


def make(options: SourceOptions) -> ImdbFolderSource:
    """Return the source of a folder of films."""
    return ImdbFolderSource(options.folder)
