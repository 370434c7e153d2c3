"""Evaluation: scores of splits, results files, and comparisons between runs."""
