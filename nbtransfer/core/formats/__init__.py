"""The formats that a run is written in, and how those of older versions are read.

    run         spec.json and manifest.jsonl: recipe, examples, what is repeated    upgraded by formats/run.py
    events      the lines of events.jsonl; an attempt's is in its `Starting`        upgraded by formats/events.py
    checkpoint  the facts and tensors of a checkpoint                 1: no tensors of best epochs; 2: no names of layers
    backbone    card.json of saved shared layers
    export      model.json of an exported model                                     new fields have defaults

A number goes up by one when the version before would refuse or misread what is written now: when a field is new, renamed or
gone. A field that changes its meaning changes its name. With the number comes a pure function that makes plain data of the
new format from plain data of the one before, and folders written by the version before are kept in `tests/data`.

What is older is upgraded while it is read, and never rewritten. What is newer is refused in one sentence; of newer events,
what is known is read, and the state says so. Where no number was written, it is 1.
"""
