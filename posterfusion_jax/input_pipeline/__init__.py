"""Batches for training and evaluation: order, sources, ablations."""
