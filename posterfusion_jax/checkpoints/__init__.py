"""Orbax checkpoints and their metadata."""
