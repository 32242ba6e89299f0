"""Compare runs: their snapshots, what changed between them, and figures of that."""
