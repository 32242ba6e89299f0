"""The boundary cache: activations of frozen stages, computed once."""
