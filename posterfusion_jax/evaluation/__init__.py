"""Scores of splits to results files, and comparisons between runs."""
