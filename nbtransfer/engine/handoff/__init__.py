"""Predictions and exported models."""
