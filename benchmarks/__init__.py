"""Time this package against alternatives; each script answers one question (README.md)."""

from posterfusion_jax.utils.telemetry import disable_telemetry

disable_telemetry()  # also for the programs in baselines/, which import onnxruntime and transformers themselves
