"""What a run is, in plain data. Standard library only."""
