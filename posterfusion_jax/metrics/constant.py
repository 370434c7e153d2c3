"""The best answers that do not look at the posters: the same labels, with the same scores, for every poster."""

from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64


def constant_measures(labels: npt.ArrayLike) -> dict[str, float]:
    """Return what the best constant answer reaches, per metric; each metric has its own best answer.

    With p_g the share of posters that have the label g:

    - f1_macro: every label is predicted, F1 = 2 p_g / (1 + p_g);
    - f1_micro: the k most frequent labels are predicted, with the best k;
    - hamming_loss: the labels with p_g > 1/2 are predicted;
    - hit_ratio: the most frequent label has the highest score;
    - mean_average_precision: all posters have the same score, AP = p_g, averaged over the labels that occur.

    Args:
      labels: multi-hot, [n, g], of the posters that are measured. The answer is chosen on the same posters, so it is at
        least as good as one chosen on others.

    Raises:
      ValueError: labels that are not [n, g] with at least one poster and one label.
    """
    present = np.asarray(labels, np.float64)
    if present.ndim != 2 or not present.size:
        raise ValueError(f"labels have the shape {present.shape}; they must be [n, g] with n and g at least 1.")
    share = present.mean(axis=0)
    measures: dict[str, Any] = {
        "f1_macro": (2 * share / (1 + share)).mean(),
        "f1_micro": _best_micro_f1(share),
        "hamming_loss": np.minimum(share, 1 - share).mean(),
        "hit_ratio": share.max(),
        "mean_average_precision": share[share > 0].mean() if share.any() else 0.0,
    }
    return {name: float(value) for name, value in measures.items()}


def _best_micro_f1(share: Float64[np.ndarray, " g"]) -> float:
    """Return the micro F1 of the best number of most frequent labels: 2 TP / (predicted + present), per poster."""
    predicted = np.arange(1, len(share) + 1)
    found = np.sort(share)[::-1].cumsum()
    return float((2 * found / (predicted + share.sum())).max())
