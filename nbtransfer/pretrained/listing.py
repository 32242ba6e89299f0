"""Public access to backbones. Searching needs no framework; a card that is not known yet is made when asked for by name."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from nbtransfer.core import catalog
from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.backbone_list import BackboneList, Entry
from nbtransfer.core.calls import checked
from nbtransfer.core.outlines import outlines
from nbtransfer.errors import BackboneError
from nbtransfer.pretrained import cards, on_disk, saved, transformers_disk


@checked(BackboneError)
def backbone(name: str) -> BackboneCard:
    """The card of one backbone; an unknown name raises BackboneError that lists the nearest ones."""
    return cards.card(name)


@checked(BackboneError)
def backbones(
    text: str = "",
    *,
    max_params: float | None = None,
    max_multiply_adds: float | None = None,
    max_size: float | None = None,
    licence: str = "",
    downloaded: bool = False,
) -> BackboneList:
    """Backbones whose name or family contains every word of `text`: a list that prints as a table. Nothing is loaded for it.

    Without arguments, those that are saved here and those of torchvision and of packages. Otherwise timm is searched
    too, and the image models of transformers on this machine: they are listed in short, and `backbone(name)` makes the card
    of one, which takes seconds to minutes the first time.

    max_params         at most so many parameters in the shared layers
    max_multiply_adds  at most so many multiply-adds for one image
    max_size           images of at most so many pixels in height and width
    licence            a part of the licence of the weights, such as "apache"
    downloaded         only backbones with pretrained weights on this machine
    """
    limits = (max_params, max_multiply_adds, max_size)
    for name, limit in zip(("max_params", "max_multiply_adds", "max_size"), limits, strict=True):
        if limit is not None and not limit > 0:
            raise BackboneError(f"{name} is {limit:g}; give a number above 0, or leave it out")
    searching = bool(text.strip() or licence.strip() or downloaded or any(limit is not None for limit in limits))
    return BackboneList(
        entry
        for entry in _pool(everything=searching)
        if _named(entry, text)
        and _within(entry.params, max_params)
        and _within(entry.multiply_adds, max_multiply_adds)
        and _within(entry.shape and max(entry.shape), max_size)
        and licence.strip().casefold() in entry.licence.casefold()
        and (not downloaded or on_disk.has_weights(entry))
    )


def _pool(*, everything: bool) -> Iterator[Entry]:
    built_in = itertools.chain(saved.cards(), map(catalog.card, catalog.names()))
    return itertools.chain(built_in, outlines(), transformers_disk.outlines()) if everything else built_in


def _named(entry: Entry, text: str) -> bool:
    family = f" {entry.family}" if isinstance(entry, BackboneCard) else ""
    return all(word in f"{entry.name}{family}".casefold() for word in text.casefold().split())


def _within(value: int | None, limit: float | None) -> bool:
    """What is not known is not within a limit."""
    return limit is None or (value is not None and value <= limit)
