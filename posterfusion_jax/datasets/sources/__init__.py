"""Sources of labelled posters: each reads pictures and labels of one layout, in one file, behind one interface (`base.Source`).

Example::

    from posterfusion_jax.datasets import sources

    sources.register("tag_files", TagFiles)  # then --config.data.source=tag_files
"""

from typing import TYPE_CHECKING

from posterfusion_jax.utils.lazy import attach

if TYPE_CHECKING:
    from posterfusion_jax.datasets.sources.base import Entries, Entry, LeftOut, Pictures, Source
    from posterfusion_jax.datasets.sources.listed import Item, Listed, list_items
    from posterfusion_jax.datasets.sources.options import SourceOptions
    from posterfusion_jax.datasets.sources.pictures import find_pictures
    from posterfusion_jax.datasets.sources.registry import make_source, register
    from posterfusion_jax.posters.folder import Skipped

__all__ = [
    "Entries",
    "Entry",
    "Item",
    "LeftOut",
    "Listed",
    "Pictures",
    "Skipped",
    "Source",
    "SourceOptions",
    "find_pictures",
    "list_items",
    "make_source",
    "register",
]
_HERE = "posterfusion_jax.datasets.sources"
__getattr__, __dir__, _ = attach(
    __name__,
    {
        "Entries": f"{_HERE}.base:Entries",
        "Entry": f"{_HERE}.base:Entry",
        "Item": f"{_HERE}.listed:Item",
        "LeftOut": f"{_HERE}.base:LeftOut",
        "Listed": f"{_HERE}.listed:Listed",
        "Pictures": f"{_HERE}.base:Pictures",
        "Skipped": "posterfusion_jax.posters.folder:Skipped",
        "Source": f"{_HERE}.base:Source",
        "SourceOptions": f"{_HERE}.options:SourceOptions",
        "find_pictures": f"{_HERE}.pictures:find_pictures",
        "list_items": f"{_HERE}.listed:list_items",
        "make_source": f"{_HERE}.registry:make_source",
        "register": f"{_HERE}.registry:register",
    },
)
