"""Background runs: start a worker, follow it, send it commands. The notebook side needs no torch."""
