"""Training: freezing, data, optimiser, the loop, checkpoints. No Jupyter."""
