"""The stages of a run; `train`, `evaluate` and so on are functions: `posterfusion_jax.pipeline.train(run)`.

Modules of this package have the same names, and Python sets a package's attribute to each module that is imported. So the
package's class has these names as properties: the functions stay, and `from posterfusion_jax.pipeline.train import ...` works.
"""

import importlib
import sys
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from posterfusion_jax.pipeline.stages import build, evaluate, features, ocr, report, run_all, train

__all__ = ["build", "evaluate", "features", "ocr", "report", "run_all", "train"]


class _Package(types.ModuleType):
    """A package with functions that modules of the same names do not replace."""


def _make_property(name: str) -> property:
    def get(_package: types.ModuleType) -> Callable[..., Any]:
        return getattr(importlib.import_module(f"{__name__}.stages"), name)

    def ignore(_package: types.ModuleType, _module: types.ModuleType) -> None:
        """Keep the function when the import system sets the module."""

    return property(get, ignore)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


for _name in __all__:
    setattr(_Package, _name, _make_property(_name))
sys.modules[__name__].__class__ = _Package
