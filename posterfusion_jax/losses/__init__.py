"""Losses of multi-label classification, per element and unreduced.

Example::

    loss = pf.losses.make_loss("asl")  # the paper's
    loss(logits, labels).mean()
"""

from typing import TYPE_CHECKING

from posterfusion_jax.utils.lazy import attach

if TYPE_CHECKING:
    from posterfusion_jax.losses.asymmetric import asymmetric_loss, make_loss
    from posterfusion_jax.losses.presets import LOSS_PRESETS, register

__all__ = ["LOSS_PRESETS", "asymmetric_loss", "make_loss", "register"]
__getattr__, __dir__, _ = attach(
    __name__,
    {
        "LOSS_PRESETS": "posterfusion_jax.losses.presets:LOSS_PRESETS",
        "asymmetric_loss": "posterfusion_jax.losses.asymmetric:asymmetric_loss",
        "make_loss": "posterfusion_jax.losses.asymmetric:make_loss",
        "register": "posterfusion_jax.losses.presets:register",
    },
)
