"""Custom code: written in a cell, stored with a run, and executed only where it is trusted."""
