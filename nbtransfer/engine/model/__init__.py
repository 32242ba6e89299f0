"""The model that is trained: shared layers, head, and what of it learns."""
