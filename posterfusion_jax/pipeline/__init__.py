"""Stages of a run, from posters to a report. Each prints its findings, and makes only the parts that are missing."""
