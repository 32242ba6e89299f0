"""Background runs: start a worker, follow it, talk to it. The notebook side needs no torch."""
