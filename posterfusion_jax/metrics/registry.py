"""Registry of the user's own metrics: `evaluate.metrics`. Light, because every command reads it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

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
