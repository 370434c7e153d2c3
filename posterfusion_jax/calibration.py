"""What a score is worth as a probability: the closed form for the asymmetric loss, and the calibration error."""

import numpy as np
import numpy.typing as npt

from posterfusion_jax.errors import InputError

_NEAR = 1e-12  # stands for 0 and 1, where single terms of the closed form are infinite though their ratio is not


def true_probability(
    scores: npt.ArrayLike, *, gamma_pos: float, gamma_neg: float, margin: float, stop_gradient: bool = False
) -> np.ndarray:
    """The probability q for which the asymmetric loss is least at a given score.

    A model trained with binary cross-entropy scores q itself; one trained with the asymmetric loss does not: with the
    paper's parameters the score 0.5 stands for q = 0.061, and q = 0.5 is scored 0.636. Setting the derivative of
    q l(p, 1) + (1-q) l(p, 0) to zero gives, with p_m = max(p - margin, 0)::

      q(p) = N' / (N' - P')
      P' = gamma_pos (1-p)^(gamma_pos-1) ln p - (1-p)^gamma_pos / p
      N' = -gamma_neg p_m^(gamma_neg-1) ln(1-p_m) + p_m^gamma_neg / (1-p_m)

    without the first term of each where the focusing weights are under a stopped gradient. q = 0 for p <= margin.
    It holds for a model that fits its data; what training and generalisation add is for `expected_calibration_error`.

    Args:
      scores: probabilities as the sigmoid gives them, in [0, 1], any shape.
      gamma_pos, gamma_neg, margin, stop_gradient: those of the loss in training, see `losses.asymmetric_loss`.

    Returns:
      float64 in the shape of `scores`, in [0, 1].

    Raises:
      ValueError: a score outside [0, 1] or NaN.

    References:
      Own derivation from Eq. 8-9 of the paper; with gamma 0 and margin 0 it is q(p) = p.
    """
    p = np.asarray(scores, np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError("scores must be probabilities in [0, 1]; apply the sigmoid to logits first.")
    zero = p <= margin
    p = p.clip(_NEAR, 1 - _NEAR)
    p_m = (p - margin).clip(_NEAR, None)
    slope_pos = -((1 - p) ** gamma_pos) / p
    slope_neg = p_m**gamma_neg / (1 - p_m)
    if not stop_gradient:
        slope_pos += gamma_pos * (1 - p) ** (gamma_pos - 1) * np.log(p)
        slope_neg -= gamma_neg * p_m ** (gamma_neg - 1) * np.log1p(-p_m)
    return np.where(zero, 0.0, slope_neg / (slope_neg - slope_pos))


def optimal_score(
    probability: float, *, gamma_pos: float, gamma_neg: float, margin: float, stop_gradient: bool = False
) -> float:
    """The score at which the asymmetric loss is least for a genre of the given probability: `true_probability` inverted.

    `optimal_score(0.5, ...)` is the threshold that the loss itself suggests for "more likely than not": 0.636 with the
    paper's parameters. Found by bisection to 1e-12.

    Raises:
      InputError: a probability outside [0, 1].
    """
    if not 0 <= probability <= 1:
        raise InputError(f"probability={probability} is not in [0, 1].")
    low, high = margin, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        reached = true_probability(middle, gamma_pos=gamma_pos, gamma_neg=gamma_neg, margin=margin, stop_gradient=stop_gradient)
        low, high = (middle, high) if reached < probability else (low, middle)
    return (low + high) / 2


def expected_calibration_error(scores: np.ndarray, labels: np.ndarray, *, bins: int = 15) -> np.ndarray:
    """The expected calibration error of each genre: the distance between mean score and share of positives.

    The scores of a genre fall into `bins` bins of equal width over [0, 1]; |mean score - share of positives| of each bin
    is weighted by the share of posters in it.

    Args:
      scores: probabilities in [0, 1], [n, g].
      labels: multi-hot, [n, g].
      bins: number of bins.

    Returns:
      float64 [g], 0 for a perfectly calibrated genre, at most 1.

    References:
      Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, Eq. 3, for each genre's yes/no decision.
    """
    n, genres = scores.shape
    # Bin of each element, numbered through genre by genre; a score of 1 belongs to the last bin.
    bin_of = np.minimum((scores * bins).astype(np.int64), bins - 1) + bins * np.arange(genres)
    gap = np.bincount(bin_of.ravel(), weights=(scores - labels).ravel(), minlength=genres * bins)
    return np.abs(gap).reshape(genres, bins).sum(axis=1) / n
