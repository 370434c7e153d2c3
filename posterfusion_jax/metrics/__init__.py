"""Multi-label metrics, thresholds, calibration and intervals, in NumPy.

Example::

    report = pf.metrics.multilabel_report(scores, labels, threshold=0.5)
    print(report["f1_macro"])
"""

from typing import TYPE_CHECKING

from posterfusion_jax.utils.lazy import attach

if TYPE_CHECKING:
    from posterfusion_jax.metrics.calibration import calibrated, fit_calibration
    from posterfusion_jax.metrics.intervals import film_bootstrap, paired_difference
    from posterfusion_jax.metrics.multilabel import multilabel_report, report_from_counts
    from posterfusion_jax.metrics.registry import register
    from posterfusion_jax.metrics.thresholds import apply_thresholds, fit_thresholds

__all__ = [
    "apply_thresholds",
    "calibrated",
    "film_bootstrap",
    "fit_calibration",
    "fit_thresholds",
    "multilabel_report",
    "paired_difference",
    "register",
    "report_from_counts",
]
__getattr__, __dir__, _ = attach(
    __name__,
    {
        "apply_thresholds": "posterfusion_jax.metrics.thresholds:apply_thresholds",
        "calibrated": "posterfusion_jax.metrics.calibration:calibrated",
        "film_bootstrap": "posterfusion_jax.metrics.intervals:film_bootstrap",
        "fit_calibration": "posterfusion_jax.metrics.calibration:fit_calibration",
        "fit_thresholds": "posterfusion_jax.metrics.thresholds:fit_thresholds",
        "multilabel_report": "posterfusion_jax.metrics.multilabel:multilabel_report",
        "paired_difference": "posterfusion_jax.metrics.intervals:paired_difference",
        "register": "posterfusion_jax.metrics.registry:register",
        "report_from_counts": "posterfusion_jax.metrics.multilabel:report_from_counts",
    },
)
