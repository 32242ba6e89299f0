"""The model in training: shared layers, head, freezing, optimiser."""
