"""`%transfer`: the commands in a notebook. The only door to IPython beside the widgets."""
