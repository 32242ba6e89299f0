"""Where examples come from. Uses Pillow and NumPy; making and checking a task needs no torch."""
