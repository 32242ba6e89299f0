"""Backbones as the page lists them, and those that match what is typed there."""

from __future__ import annotations

from nbtransfer.core.backbone_list import Entry
from nbtransfer.core.text import typed
from nbtransfer.core.text.counts import pixels, short_number
from nbtransfer.pretrained import listing
from nbtransfer.ui.messages import BackboneQuery, BackbonesFound
from nbtransfer.ui.traits import NamedChoice

MOST = 100
"""Rows are built by the page; of more, people read no further."""


def choice(entry: Entry) -> NamedChoice:
    """A backbone in a list of many."""
    facts = [
        entry.name,
        None if entry.params is None else f"{short_number(entry.params)} parameters",
        None if entry.multiply_adds is None else f"{short_number(entry.multiply_adds)} MACs",
        None if entry.shape is None else pixels(entry.shape),
        None if entry.top1 is None else f"{entry.top1:.1f} % top-1",
    ]
    return entry.name, " · ".join(fact for fact in facts if fact)


def search(query: BackboneQuery) -> BackbonesFound:
    """The first backbones that match, and how many there are; raises InputError for what is no number."""
    found = listing.backbones(
        query["text"],
        max_params=_limit(query["max_params"], "the number of million parameters", 1e6),
        max_multiply_adds=_limit(query["max_multiply_adds"], "the number of billion multiply-adds", 1e9),
        max_size=_limit(query["max_size"], "the image size", 1),
        licence=query["licence"],
        downloaded=query["downloaded"],
    )
    return {"rows": [choice(entry) for entry in found[:MOST]], "count": len(found)}


def _limit(text: str, name: str, unit: float) -> float | None:
    """What was typed into a field; None where it is empty."""
    return typed.number(text, name) * unit if text.strip() else None
