"""Name the sources of labelled posters, and make them; light, because every command reads the names."""

from collections.abc import Callable
from typing import Any

from posterfusion_jax.datasets.sources.base import Source
from posterfusion_jax.datasets.sources.options import SourceOptions
from posterfusion_jax.errors import InputError
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


_ATTRIBUTES = ("name", "place", "list_pictures", "read_entries", "hash_labels", "decisions")  # `unit` may need the files


def make_source(options: SourceOptions) -> Source:
    """Return the source that the options name.

    Raises:
      InputError: no such source, one that cannot be made of these options, or an object that is no source.
    """
    source = check_callable(SOURCES.get(options.kind), "data.source", options.kind)(options)
    missing = [name for name in _ATTRIBUTES if not hasattr(source, name)]
    if missing or (not hasattr(type(source), "unit") and not hasattr(source, "unit")):
        raise InputError(
            f"data.source={options.kind!r} gives a {type(source).__name__} without {', '.join(missing) or 'unit'}; a source "
            f"has what datasets/sources/base.py requires: unit, {', '.join(_ATTRIBUTES)}."
        )
    return source


def register(name: str, make: Callable[[SourceOptions], Source] | None = None) -> Any:
    """Register a source, which configs then name in data.source.

    Args:
      name: letters, digits, "_", "-" and ".".
      make: a class or function that takes `SourceOptions` and returns a `base.Source`. Without it a decorator is returned.

    Raises:
      InputError: the name has other characters, or is taken.
    """
    return SOURCES.register(name, make)
