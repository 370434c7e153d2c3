"""Multi-label metrics, thresholds, calibration and intervals, in NumPy; loaded on first use."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from posterfusion_jax.metrics.calibration import (
        Calibration,
        calibrated,
        calibration_report,
        expected_calibration_error,
        fit_calibration,
        optimal_score,
        true_probability,
    )
    from posterfusion_jax.metrics.intervals import (
        PairedDifference,
        SeedInterval,
        film_bootstrap,
        paired_difference,
        resampled_ratios,
        seed_interval,
    )
    from posterfusion_jax.metrics.multilabel import (
        Counts,
        Report,
        film_scores,
        format_report,
        multilabel_report,
        report_from_counts,
    )
    from posterfusion_jax.metrics.thresholds import (
        Thresholds,
        apply_thresholds,
        fit_thresholds,
    )

_MODULE_OF = {
    "Calibration": "calibration",
    "calibrated": "calibration",
    "calibration_report": "calibration",
    "expected_calibration_error": "calibration",
    "fit_calibration": "calibration",
    "optimal_score": "calibration",
    "true_probability": "calibration",
    "PairedDifference": "intervals",
    "SeedInterval": "intervals",
    "film_bootstrap": "intervals",
    "paired_difference": "intervals",
    "resampled_ratios": "intervals",
    "seed_interval": "intervals",
    "Counts": "multilabel",
    "Report": "multilabel",
    "film_scores": "multilabel",
    "format_report": "multilabel",
    "multilabel_report": "multilabel",
    "report_from_counts": "multilabel",
    "Thresholds": "thresholds",
    "apply_thresholds": "thresholds",
    "fit_thresholds": "thresholds",
}
__all__ = [
    "Calibration",
    "Counts",
    "PairedDifference",
    "Report",
    "SeedInterval",
    "Thresholds",
    "apply_thresholds",
    "calibrated",
    "calibration_report",
    "expected_calibration_error",
    "film_bootstrap",
    "film_scores",
    "fit_calibration",
    "fit_thresholds",
    "format_report",
    "multilabel_report",
    "optimal_score",
    "paired_difference",
    "report_from_counts",
    "resampled_ratios",
    "seed_interval",
    "true_probability",
]


def __getattr__(name: str) -> Any:
    """Import the module of an exported name (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    """List the exported names."""
    return sorted(__all__)
