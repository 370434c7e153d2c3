"""Name the sources of labelled posters, and make them; light, because every command reads the names."""

from collections.abc import Callable
from typing import Any

from posterfusion_jax.datasets.sources.base import Source
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.utils.registry import Registry, check_callable

_HERE = "posterfusion_jax.datasets.sources"
SOURCES: Registry[Callable[[SourceOptions], Source]] = Registry(
    "data.source",
    "source",
    {
        "folder": f"{_HERE}.imdb_folder:make",
        "table": f"{_HERE}.table:make",
        "class_folders": f"{_HERE}.class_folders:make",
        "mm_imdb": f"{_HERE}.mm_imdb:make",
        "nfo": f"{_HERE}.nfo:make",
        "hugging_face": f"{_HERE}.hugging_face:make",
    },
)


def make_source(options: SourceOptions) -> Source:
    """Return the source that the options name. Raises InputError for an unknown one, or one that cannot be made."""
    return check_callable(SOURCES.get(options.kind), "data.source", options.kind)(options)


def register(name: str, make: Callable[[SourceOptions], Source] | None = None) -> Any:
    """Register a source, which configs then name in data.source.

    Args:
      name: letters, digits, "_", "-" and ".".
      make: a class or function that takes `SourceOptions` and returns a `base.Source`. Without it a decorator is returned.

    Raises:
      InputError: the name has other characters, or is taken.
    """
    return SOURCES.register(name, make)
