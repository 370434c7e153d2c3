"""Configs: defaults, allowed values, validation, and the run derived from them."""
