"""Measurements. `make bench` runs all of them; each can be run alone: `python -m benchmarks.latency`."""
