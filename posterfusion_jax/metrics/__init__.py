"""Multi-label metrics, thresholds, calibration and intervals, in NumPy."""
