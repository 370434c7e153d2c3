"""PosterFusion: the genres of a film from its poster alone, the picture and the words on it."""

from posterfusion_jax.utils.telemetry import disable_telemetry

__version__ = "0.1.0"

disable_telemetry()  # here, because a library that is loaded before has already begun
