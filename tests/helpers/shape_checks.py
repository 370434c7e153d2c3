"""Check the shapes and dtypes that annotations state, in tests.

`install` has to run before the package is imported. Programs that a test starts are not checked.
"""

import inspect
import typing
from collections.abc import Callable
from typing import Any

import beartype
import jaxtyping

PACKAGES = (
    "posterfusion_jax.losses",
    "posterfusion_jax.metrics",
    "posterfusion_jax.models",
    "posterfusion_jax.train",
    "posterfusion_jax.input_pipeline",
    "posterfusion_jax.evaluation.scoring",
    "posterfusion_jax.encoders",
    "posterfusion_jax.features.batching",
    "posterfusion_jax.features.reader",
)


def install() -> None:
    """Check the shapes of all functions and dataclasses of `PACKAGES` that are imported from here on."""
    jaxtyping.install_import_hook(PACKAGES, f"shape_checks.checker{PACKAGES}")


def checker(*packages: str) -> Callable[..., Any]:
    """Return the decorator that checks a function.

    The packages are not used: jaxtyping keys its bytecode files by the text of the call, and a package that joins the list
    must not be loaded from files without checks.
    """
    return _check_shapes


def _check_shapes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check annotations with shapes only: tests pass simple objects in place of towers, sources and configs."""
    hints = function.__annotations__
    function.__annotations__ = {name: hint if _has_shape(hint) else Any for name, hint in hints.items()}
    return beartype.beartype(function)


def _has_shape(hint: Any) -> bool:
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return typing.get_origin(hint) is not Callable and any(map(_has_shape, typing.get_args(hint)))
