"""Values and intervals of the user's own metrics."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64, Shaped

from posterfusion_jax.errors import InputError
from posterfusion_jax.metrics.intervals import percentile_interval, resample_rows
from posterfusion_jax.metrics.registry import Metric


def compute_metrics(
    metrics: dict[str, Metric],
    scores: Float[np.ndarray, "n g"],
    labels: Shaped[np.ndarray, "n g"],
    film_ids: Sequence[str],
    *,
    resamples: int,
    seed: int,
) -> dict[str, tuple[float, tuple[float, float]]]:
    """Compute metrics with their 95 % intervals, by resampling films.

    Args:
      metrics: from `registry.load_metrics`.
      scores: probabilities in [0, 1].
      labels: multi-hot.
      film_ids: the film of each poster, n names.
      resamples: of films, at least 100; each metric is called once more than that.
      seed: of the resampling.

    Returns:
      Name -> (value, (low, high)).

    Raises:
      InputError: a metric that fails or returns no finite number on the whole split, or on no resample.
    """
    if not metrics:
        return {}
    scores = np.asarray(scores, np.float64)
    values = {name: _call(name, metric, scores, labels) for name, metric in metrics.items()}
    drawn: dict[str, list[float]] = {name: [] for name in metrics}
    for rows in resample_rows(film_ids, resamples=resamples, seed=seed):
        for name, metric in metrics.items():
            drawn[name].append(float(metric(scores[rows], labels[rows])))
    return {name: (value, _interval(name, np.array(drawn[name]))) for name, value in values.items()}


def _call(name: str, metric: Metric, scores: Float64[np.ndarray, "n g"], labels: Shaped[np.ndarray, "n g"]) -> float:
    try:
        value = float(metric(scores, labels))
    except Exception as error:  # of the user's code
        raise InputError(
            f"evaluate.metrics: {name!r} failed on scores {scores.shape}: {type(error).__name__}: {error}"
        ) from error
    if not np.isfinite(value):
        raise InputError(f"evaluate.metrics: {name!r} is {value} on scores {scores.shape}; a metric is a finite number.")
    return value


def _interval(name: str, values: Float64[np.ndarray, " r"]) -> tuple[float, float]:
    """Return the percentile interval of the resamples for which the metric is defined."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise InputError(f"evaluate.metrics: {name!r} is no finite number on any resample.")
    return percentile_interval(finite)
