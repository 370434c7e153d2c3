"""Losses of multi-label classification, per element and unreduced.

Example::

    loss = pf.losses.make_loss("asl")  # the paper's
    loss(logits, labels).mean()
"""

from typing import TYPE_CHECKING

from posterfusion_jax.utils.lazy import attach

if TYPE_CHECKING:
    from posterfusion_jax.losses.asymmetric import Loss, asymmetric_loss, make_loss
    from posterfusion_jax.losses.presets import LOSS_PRESETS, AsymmetricParameters, check_parameters, loss_parameters, register

__all__ = [
    "LOSS_PRESETS",
    "AsymmetricParameters",
    "Loss",
    "asymmetric_loss",
    "check_parameters",
    "loss_parameters",
    "make_loss",
    "register",
]
__getattr__, __dir__, _ = attach(
    __name__,
    {
        "AsymmetricParameters": "posterfusion_jax.losses.presets:AsymmetricParameters",
        "LOSS_PRESETS": "posterfusion_jax.losses.presets:LOSS_PRESETS",
        "Loss": "posterfusion_jax.losses.asymmetric:Loss",
        "asymmetric_loss": "posterfusion_jax.losses.asymmetric:asymmetric_loss",
        "check_parameters": "posterfusion_jax.losses.presets:check_parameters",
        "loss_parameters": "posterfusion_jax.losses.presets:loss_parameters",
        "make_loss": "posterfusion_jax.losses.asymmetric:make_loss",
        "register": "posterfusion_jax.losses.presets:register",
    },
)
