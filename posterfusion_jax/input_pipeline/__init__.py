"""Batches for training and evaluation: their order, their sources, ablated inputs."""
