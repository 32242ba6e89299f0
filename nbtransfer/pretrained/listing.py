"""Public access to backbone cards. Built-in cards need no framework; those of timm are built on demand."""

from __future__ import annotations

import importlib.metadata
import importlib.util

from nbtransfer.core import catalog
from nbtransfer.core.backbone import BackboneCard, BackboneList
from nbtransfer.core.calls import checked
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list
from nbtransfer.errors import BackboneError, InputError
from nbtransfer.store import atomic
from nbtransfer.store.home import home, private_folder

TIMM = "timm/"
MOST_TIMM = 20


@checked(BackboneError)
def backbone(name: str) -> BackboneCard:
    """The card of one backbone; an unknown name raises BackboneError that lists the nearest ones."""
    return _timm_card(name) if name.startswith(TIMM) else catalog.card(name)


@checked(BackboneError)
def backbones(text: str = "") -> BackboneList:
    """The cards of all built-in backbones whose name or family contains `text`: a list that prints as a table.

    Text that begins with "timm/" searches timm instead. Its cards take a moment each, so at most 20 are made.
    """
    if text.startswith(TIMM):
        return _timm(text)
    wanted = text.casefold()
    cards = (catalog.card(name) for name in catalog.names())
    return BackboneList(card for card in cards if wanted in card.name or wanted in card.family)


def _timm_card(name: str) -> BackboneCard:
    """Made once per version of timm and stored in the home folder: making it loads torch and builds the model."""
    version = importlib.metadata.version("timm") if importlib.util.find_spec("timm") else None
    kept = home() / "cards" / f"{name.removeprefix(TIMM).replace('/', '_')}-{version}.json"
    try:
        return catalog.decode(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError, InputError):
        pass
    from nbtransfer.pretrained import registry

    card = registry.card(name)
    private_folder(kept.parent)
    atomic.write_text(kept, catalog.encode(card))
    return card


def _timm(text: str) -> BackboneList:
    from nbtransfer.pretrained import timm_models  # loads torch

    names = timm_models.search(text)
    if len(names) > MOST_TIMM:
        raise BackboneError(
            f"{quantity(len(names), 'model')} of timm match {text!r}; write more of the name: {short_list(names, most=8)}"
        )
    return BackboneList(map(_timm_card, names))
