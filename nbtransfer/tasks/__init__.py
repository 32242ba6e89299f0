"""Where examples come from. Pillow and NumPy; torch is not needed to make or check a task."""
