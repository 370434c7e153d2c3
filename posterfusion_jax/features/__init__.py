"""Compute features of frozen encoders once, and store them with a passport."""
