"""The public way to look at backbones. Built-in cards need no framework; those of timm are built when asked for."""

from __future__ import annotations

from nbtransfer.core import catalog
from nbtransfer.core.backbone import BackboneCard, BackboneList
from nbtransfer.core.text import counted, listed
from nbtransfer.errors import BackboneError

TIMM = "timm/"
MOST_TIMM = 20


def backbone(name: str) -> BackboneCard:
    """The card of one backbone; an unknown name raises BackboneError that lists the nearest ones."""
    if not name.startswith(TIMM):
        return catalog.card(name)
    from nbtransfer.pretrained import registry  # loads torch

    return registry.card(name)


def backbones(text: str = "") -> BackboneList:
    """The cards of all built-in backbones whose name or family contains `text`: a list that prints as a table.

    Text that begins with "timm/" searches timm instead, whose cards take a moment each: at most 20 are made.
    """
    if text.startswith(TIMM):
        return _timm(text)
    wanted = text.casefold()
    cards = (catalog.card(name) for name in catalog.names())
    return BackboneList(card for card in cards if wanted in card.name or wanted in card.family)


def _timm(text: str) -> BackboneList:
    from nbtransfer.pretrained import registry, timm_models  # loads torch

    names = timm_models.search(text)
    if len(names) > MOST_TIMM:
        raise BackboneError(
            f"{counted(len(names), 'model')} of timm match {text!r}; write more of the name: {listed(names, most=8)}"
        )
    return BackboneList(registry.card(name) for name in names)
