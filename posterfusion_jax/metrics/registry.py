"""The user's own metrics: `evaluate.metrics`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from posterfusion_jax.errors import InputError
from posterfusion_jax.metrics.intervals import percentile_interval, resample_rows
from posterfusion_jax.utils.registry import Registry, check_callable

Metric = Callable[[np.ndarray, np.ndarray], float]
METRICS: Registry[Metric] = Registry("evaluate.metrics", "metric", {})


def register(name: str, metric: Metric | None = None) -> Any:
    """Register a metric, which configs then name in `evaluate.metrics`.

    Args:
      name: letters, digits, "_", "-" and "."; the key in results files.
      metric: (scores float64 [n, g] in [0, 1], labels uint8 [n, g]) -> float. Without it a decorator is returned.

    Raises:
      InputError: the name has other characters, or is taken.

    Example::

        pf.metrics.register("lrap", sklearn_lrap)
    """
    return METRICS.register(name, metric)


def load_metrics(names: Sequence[str]) -> dict[str, Metric]:
    """Return the metrics by name. Raises InputError for one that cannot be imported or called."""
    return {name: check_callable(METRICS.get(name), "evaluate.metrics", name) for name in names}


def compute_metrics(
    metrics: dict[str, Metric], scores: np.ndarray, labels: np.ndarray, film_ids: Sequence[str], *, resamples: int, seed: int
) -> dict[str, tuple[float, tuple[float, float]]]:
    """Compute metrics with their 95 % intervals, by resampling films.

    Args:
      metrics: from `load_metrics`.
      scores: float [n, g].
      labels: multi-hot [n, g].
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


def _call(name: str, metric: Metric, scores: np.ndarray, labels: np.ndarray) -> float:
    try:
        value = float(metric(scores, labels))
    except Exception as error:  # of the user's code
        raise InputError(
            f"evaluate.metrics: {name!r} failed on scores {scores.shape}: {type(error).__name__}: {error}"
        ) from error
    if not np.isfinite(value):
        raise InputError(f"evaluate.metrics: {name!r} is {value} on scores {scores.shape}; a metric is a finite number.")
    return value


def _interval(name: str, values: np.ndarray) -> tuple[float, float]:
    """Return the percentile interval of the resamples for which the metric is defined."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise InputError(f"evaluate.metrics: {name!r} is no finite number on any resample of the films.")
    return percentile_interval(finite)
