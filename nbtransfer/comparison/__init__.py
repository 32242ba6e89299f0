"""Runs compared: snapshots, what changed between them, and figures of it."""
