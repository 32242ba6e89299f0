"""Public access to backbone cards. Built-in cards need no framework; those of timm are built on demand."""

from __future__ import annotations

import itertools

from nbtransfer.core import catalog
from nbtransfer.core.backbone import BackboneCard, BackboneList
from nbtransfer.core.calls import checked
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list
from nbtransfer.errors import BackboneError
from nbtransfer.pretrained import cards, saved
from nbtransfer.pretrained.cards import TIMM

MOST_TIMM = 20


@checked(BackboneError)
def backbone(name: str) -> BackboneCard:
    """The card of one backbone; an unknown name raises BackboneError that lists the nearest ones."""
    return cards.card(name)


@checked(BackboneError)
def backbones(text: str = "") -> BackboneList:
    """The cards of all saved and built-in backbones whose name or family contains `text`: a list that prints as a table.

    Text that begins with "timm/" searches timm instead. A card that is not known yet takes seconds to minutes, so at most 20
    are made.
    """
    if text.startswith(TIMM):
        return _timm(text)
    wanted = text.casefold()
    known = itertools.chain(saved.cards(), (catalog.card(name) for name in catalog.names()))
    return BackboneList(card for card in known if wanted in card.name.casefold() or wanted in card.family)


def _timm(text: str) -> BackboneList:
    from nbtransfer.pretrained import timm_models  # loads torch

    names = timm_models.search(text)
    if len(names) > MOST_TIMM:
        raise BackboneError(
            f"{quantity(len(names), 'model')} of timm match {text!r}; write more of the name: {short_list(names, most=8)}"
        )
    return BackboneList(map(cards.card, names))
