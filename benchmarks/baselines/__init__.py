"""Implement what a user would write instead of this package; only the benchmarks import it."""
