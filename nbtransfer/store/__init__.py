"""The run folder: the only thing a notebook and a worker share. Standard library only."""
