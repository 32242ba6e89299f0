"""Training, validation and solving."""
