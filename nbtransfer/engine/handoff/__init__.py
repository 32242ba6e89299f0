"""Predictions, and models that are handed over: exported in one of several formats, and loaded again."""
