"""Multi-label metrics, thresholds, calibration and intervals, in NumPy.

Example::

    report = pf.metrics.multilabel_report(scores, labels, threshold=0.5)
    print(report["f1_macro"])
"""

from typing import TYPE_CHECKING

from posterfusion_jax.utils.lazy import attach

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
        ThresholdedScores,
        film_bootstrap,
        paired_difference,
        resampled_ratios,
        seed_interval,
    )
    from posterfusion_jax.metrics.multilabel import (
        Counts,
        Report,
        film_scores,
        multilabel_report,
        report_from_counts,
    )
    from posterfusion_jax.metrics.registry import register
    from posterfusion_jax.metrics.report_text import format_report
    from posterfusion_jax.metrics.thresholds import Thresholds, apply_thresholds, fit_thresholds

__all__ = [
    "Calibration",
    "Counts",
    "PairedDifference",
    "Report",
    "SeedInterval",
    "ThresholdedScores",
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
    "register",
    "report_from_counts",
    "resampled_ratios",
    "seed_interval",
    "true_probability",
]
__getattr__, __dir__, _ = attach(
    __name__,
    {
        "Calibration": "posterfusion_jax.metrics.calibration:Calibration",
        "Counts": "posterfusion_jax.metrics.multilabel:Counts",
        "PairedDifference": "posterfusion_jax.metrics.intervals:PairedDifference",
        "Report": "posterfusion_jax.metrics.multilabel:Report",
        "SeedInterval": "posterfusion_jax.metrics.intervals:SeedInterval",
        "ThresholdedScores": "posterfusion_jax.metrics.intervals:ThresholdedScores",
        "Thresholds": "posterfusion_jax.metrics.thresholds:Thresholds",
        "apply_thresholds": "posterfusion_jax.metrics.thresholds:apply_thresholds",
        "calibrated": "posterfusion_jax.metrics.calibration:calibrated",
        "calibration_report": "posterfusion_jax.metrics.calibration:calibration_report",
        "expected_calibration_error": "posterfusion_jax.metrics.calibration:expected_calibration_error",
        "film_bootstrap": "posterfusion_jax.metrics.intervals:film_bootstrap",
        "film_scores": "posterfusion_jax.metrics.multilabel:film_scores",
        "fit_calibration": "posterfusion_jax.metrics.calibration:fit_calibration",
        "fit_thresholds": "posterfusion_jax.metrics.thresholds:fit_thresholds",
        "format_report": "posterfusion_jax.metrics.report_text:format_report",
        "multilabel_report": "posterfusion_jax.metrics.multilabel:multilabel_report",
        "optimal_score": "posterfusion_jax.metrics.calibration:optimal_score",
        "paired_difference": "posterfusion_jax.metrics.intervals:paired_difference",
        "register": "posterfusion_jax.metrics.registry:register",
        "report_from_counts": "posterfusion_jax.metrics.multilabel:report_from_counts",
        "resampled_ratios": "posterfusion_jax.metrics.intervals:resampled_ratios",
        "seed_interval": "posterfusion_jax.metrics.intervals:seed_interval",
        "true_probability": "posterfusion_jax.metrics.calibration:true_probability",
    },
)
