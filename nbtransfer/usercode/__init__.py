"""Code of one's own: written in a cell, carried along with a run, and run only where it is trusted."""
