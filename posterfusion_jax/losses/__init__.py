"""Losses: the asymmetric loss and its presets, loaded on first use, so that the presets need no JAX."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from posterfusion_jax.losses.asymmetric import Loss, asymmetric_loss, make_loss
    from posterfusion_jax.losses.presets import LOSS_PRESETS, AsymmetricParameters, check_parameters, loss_parameters

_MODULE_OF = {
    "Loss": "asymmetric",
    "asymmetric_loss": "asymmetric",
    "make_loss": "asymmetric",
    "AsymmetricParameters": "presets",
    "LOSS_PRESETS": "presets",
    "check_parameters": "presets",
    "loss_parameters": "presets",
}
__all__ = [
    "LOSS_PRESETS",
    "AsymmetricParameters",
    "Loss",
    "asymmetric_loss",
    "check_parameters",
    "loss_parameters",
    "make_loss",
]


def __getattr__(name: str) -> Any:
    """Import the module of an exported name (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    """List the exported names."""
    return sorted(__all__)
