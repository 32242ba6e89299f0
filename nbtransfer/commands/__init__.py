"""One tree of commands for the command line and the notebook."""
