"""Fitting: the training loop and the linear probe."""
