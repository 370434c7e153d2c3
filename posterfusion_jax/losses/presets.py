"""Named parameter sets (presets) of the asymmetric loss."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.registry import Registry


class AsymmetricParameters(NamedTuple):
    """Hold the parameters of the asymmetric loss; see `losses.asymmetric.asymmetric_loss`."""

    gamma_pos: float
    gamma_neg: float
    margin: float


LOSS_PRESETS = {
    "asl": AsymmetricParameters(3.0, 4.0, 0.2),  # the paper, below Eq. 9
    "asl_default": AsymmetricParameters(1.0, 4.0, 0.05),  # Ridnik et al., the default of their code
    "bce": AsymmetricParameters(0.0, 0.0, 0.0),  # binary cross-entropy
    "focal": AsymmetricParameters(2.0, 2.0, 0.0),  # Lin et al., arXiv 1708.02002, without the alpha weighting
}


LOSSES: Registry[Any] = Registry("loss.preset", "loss", LOSS_PRESETS)


def register(name: str, loss: Callable[..., Any] | None = None) -> Any:
    """Register a loss, which configs then name in `loss.preset`.

    Args:
      name: letters, digits, "_", "-" and ".".
      loss: (logits [b, g], labels [b, g], both floating) -> losses [b, g], in JAX. Without it a decorator is returned.

    Raises:
      InputError: the name has other characters, or is taken.

    Example::

        pf.losses.register("squared", lambda logits, labels: (jax.nn.sigmoid(logits) - labels) ** 2)
    """
    return LOSSES.register(name, loss)


def is_custom_loss(preset: str) -> bool:
    """Return whether a loss is the user's own, which the numbers of the asymmetric loss do not shape."""
    return preset not in LOSS_PRESETS and preset in LOSSES


def check_no_parameters(preset: str, **given: float | None) -> None:
    """Raise InputError where numbers of the asymmetric loss are given with a loss of the user's own."""
    for name, value in given.items():
        if value is not None:
            raise InputError(
                f"loss.{name}={value} shapes the asymmetric loss; loss.preset={preset!r} has no such number. Set none."
            )


def loss_parameters(
    preset: str, *, gamma_pos: float | None = None, gamma_neg: float | None = None, margin: float | None = None
) -> AsymmetricParameters:
    """Return the parameters that `losses.asymmetric.make_loss` uses for the same arguments; raises the same errors."""
    if preset not in LOSS_PRESETS:
        raise InputError(LOSSES.describe_unknown(preset))
    given = {"gamma_pos": gamma_pos, "gamma_neg": gamma_neg, "margin": margin}
    parameters = LOSS_PRESETS[preset]._replace(**{name: value for name, value in given.items() if value is not None})
    check_parameters(*parameters)
    return parameters


def check_parameters(gamma_pos: float, gamma_neg: float, margin: float) -> None:
    """Raise InputError if a parameter is outside its range."""
    for name, gamma in (("gamma_pos", gamma_pos), ("gamma_neg", gamma_neg)):
        # The derivative of base^gamma at 0 is infinite for gamma in (0, 1).
        if not (math.isfinite(gamma) and (gamma == 0 or gamma >= 1)):
            raise InputError(
                f"{name}={gamma} is not allowed: an exponent of the loss is 0 (no focusing) or at least 1, because the "
                "gradient is infinite in between. The paper has gamma_pos=3, gamma_neg=4."
            )
    # In float32 a margin below 6e-8 vanishes in 1 - margin, and the loss becomes infinite.
    if not (margin == 0 or 1e-6 <= margin < 1):
        raise InputError(f"margin={margin} is not allowed: it is 0 (no shift) or in [1e-6, 1). The paper has 0.2.")
