"""Losses of multi-label classification, per element and unreduced: the asymmetric loss and its special cases."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from posterfusion_jax.errors import InputError
from posterfusion_jax.losses.presets import LOSSES, check_no_parameters, check_parameters, is_custom_loss, loss_parameters
from posterfusion_jax.utils.registry import check_callable

Loss = Callable[[Float[Array, "*shape"], Shaped[Array, "*shape"]], Float[Array, "*shape"]]


def asymmetric_loss(
    logits: Float[Array | np.ndarray, "*shape"],
    labels: Shaped[Array | np.ndarray, "*shape"],
    *,
    gamma_pos: float,
    gamma_neg: float,
    margin: float,
    stop_gradient: bool = False,
) -> Float[Array, "*shape"]:
    """Return the asymmetric loss per element (Eq. 8-9 of the paper, with the minus sign of a loss).

    With p = sigmoid(logit) and the shifted p_m = max(p - margin, 0)::

      loss = -( label (1-p)^gamma_pos log p  +  (1-label) p_m^gamma_neg log(1-p_m) )

    The paper reports the mean over genres and posters, which is left to the caller. Logits of narrower types are cast to
    float32 (float64 logits stay float64), because the powers underflow in half precision.

    Args:
      logits: of any shape.
      labels: multi-hot, of any type; values between 0 and 1 are soft labels.
      gamma_pos: focusing exponent of present genres, 0 or at least 1. A Python number: it selects the formula under jit.
      gamma_neg: focusing exponent of absent genres, 0 or at least 1.
      margin: probability shift of absent genres, 0 or in [1e-6, 1). Absent genres scored below it have zero loss.
      stop_gradient: treat the two focusing weights as constants in the gradient, as one of the two loss classes of the
        reference code does by default. The value of the loss is the same.

    Returns:
      Losses >= 0; float32, or float64 for float64 logits.

    Raises:
      InputError: an exponent or the margin outside its range.
      ValueError: logits that are not of a floating type, or labels of another shape.

    References:
      Ridnik et al., "Asymmetric Loss For Multi-Label Classification", ICCV 2021, Eq. 1-7. Their code sums where the paper
      averages, and adds an epsilon of 1e-8 inside the logarithms, which exact log-sigmoids make unnecessary.
    """
    check_parameters(gamma_pos, gamma_neg, margin)
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(f"logits have the type {logits.dtype}; they must be of a floating type.")
    if logits.shape != labels.shape:
        raise ValueError(f"labels of shape {labels.shape} do not fit logits of shape {logits.shape}.")
    dtype = jnp.float64 if logits.dtype == jnp.float64 else jnp.float32
    x = logits.astype(dtype)
    y = labels.astype(dtype)

    not_p = jax.nn.sigmoid(-x)  # 1 - sigmoid(x) would round to 0 from x = 17 on
    log_p = jax.nn.log_sigmoid(x)
    if margin == 0:
        p_m = jax.nn.sigmoid(x)
        log_not_p_m = jax.nn.log_sigmoid(-x)  # log1p(-p_m) is -inf once p_m rounds to 1
    else:
        p_m = jnp.maximum(jax.nn.sigmoid(x) - float(margin), 0.0)
        log_not_p_m = jnp.log1p(-p_m)
    positive = _focus(not_p, gamma_pos, log_p, stop_gradient)
    negative = _focus(p_m, gamma_neg, log_not_p_m, stop_gradient)
    return jnp.negative(y * positive + (1.0 - y) * negative)


def make_loss(
    preset: str,
    *,
    gamma_pos: float | None = None,
    gamma_neg: float | None = None,
    margin: float | None = None,
    stop_gradient: bool = False,
) -> Loss:
    """Return the loss function of a preset, with the given parameters overridden.

    Args:
      preset: a key of `LOSS_PRESETS`, a registered loss, or "package.module:function".
      gamma_pos: replaces the preset's value; None keeps it.
      gamma_neg: replaces the preset's value; None keeps it.
      margin: replaces the preset's value; None keeps it.
      stop_gradient: see `asymmetric_loss`.

    Returns:
      A pure function (logits, labels) -> losses per element.

    Raises:
      InputError: an unknown preset, or a parameter outside its range.
    """
    if is_custom_loss(preset):
        check_no_parameters(preset, gamma_pos=gamma_pos, gamma_neg=gamma_neg, margin=margin)
        return _wrap_custom(check_callable(LOSSES.get(preset), "loss.preset", preset), preset)
    parameters = loss_parameters(preset, gamma_pos=gamma_pos, gamma_neg=gamma_neg, margin=margin)

    def loss(
        logits: Float[Array | np.ndarray, "*shape"], labels: Shaped[Array | np.ndarray, "*shape"]
    ) -> Float[Array, "*shape"]:
        return asymmetric_loss(logits, labels, **parameters._asdict(), stop_gradient=stop_gradient)

    return loss


def _wrap_custom(custom: Loss, preset: str) -> Loss:
    """Return a user's loss with labels of the logits' type, and with its result checked."""

    def loss(logits: Float[Array, "*shape"], labels: Shaped[Array, "*shape"]) -> Float[Array, "*shape"]:
        losses = custom(logits, labels.astype(logits.dtype))
        shape = getattr(losses, "shape", type(losses).__name__)
        if shape != logits.shape:
            raise InputError(f"loss.preset={preset!r} returned {shape} for logits {logits.shape}; return a loss per element.")
        return losses

    return loss


def _focus(
    base: Float[Array, "*shape"], gamma: float, log_likelihood: Float[Array, "*shape"], stop_gradient: bool
) -> Float[Array, "*shape"]:
    """Return base^gamma * log_likelihood, with finite first and second derivatives where the base is 0."""
    if gamma == 0:  # the derivative of 0^0 written as a power is NaN
        return log_likelihood
    if gamma == int(gamma):  # multiplications have exact derivatives at 0; those of a general power are 0 * inf
        weight = base ** int(gamma)
    else:
        above = base > 0
        one, zero = jnp.ones((), base.dtype), jnp.zeros((), base.dtype)
        weight = jnp.where(above, jnp.where(above, base, one) ** float(gamma), zero)
    if stop_gradient:
        weight = jax.lax.stop_gradient(weight)
    return weight * log_likelihood
