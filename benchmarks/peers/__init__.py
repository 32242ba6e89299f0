"""The same job as its users would do it elsewhere, each in a process of its own that prints one line of JSON."""
