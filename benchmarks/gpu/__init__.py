"""Whether everything is right on a GPU, and how fast it is there: `python -m benchmarks.gpu`."""
