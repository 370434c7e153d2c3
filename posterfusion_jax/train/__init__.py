"""Training: the pure step, epoch runners, the loop, early stopping, logs."""
