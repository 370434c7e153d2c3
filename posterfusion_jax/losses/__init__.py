"""The asymmetric loss and its presets."""
