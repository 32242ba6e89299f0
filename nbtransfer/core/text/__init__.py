"""How numbers, names, tables and paths are written."""
