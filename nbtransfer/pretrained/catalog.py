"""Generate `core/catalog.jsonl`: `python -m nbtransfer.pretrained.catalog`. Run it after torchvision adds models."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nbtransfer.core import catalog
from nbtransfer.core.backbone import BackboneCard
from nbtransfer.pretrained import timm_models, torchvision_models
from nbtransfer.pretrained.measure import card_of, structure_only
from nbtransfer.pretrained.registry import cut_by_hand


def built_in_names() -> list[str]:
    """All backbones with a card in the catalogue."""
    return sorted([*torchvision_models.names(), *timm_models.PACKAGED])


def make_card(name: str) -> BackboneCard:
    """The card of a built-in backbone, from the installed libraries."""
    if name in timm_models.PACKAGED:
        with structure_only():
            net = timm_models.build(name)
        backbone, entry = cut_by_hand("timm_efficientnet", net), timm_models.PACKAGED[name]
        return card_of(name, "timm_efficientnet", timm_models.ORIGIN, backbone, entry.input, (entry,), min_size=32)
    entries = torchvision_models.weights_cards(name)
    family = torchvision_models.family(name)
    with structure_only():
        net = torchvision_models.build(name, entries[0].input.size)
    backbone = cut_by_hand(family, net)
    least = torchvision_models.min_size(name)
    card = card_of(name, family, torchvision_models.ORIGIN, backbone, entries[0].input, entries, min_size=least)
    return replace(card, fixed_size=family in torchvision_models.FIXED_SIZE)


def make_lines() -> Iterator[str]:
    """The lines of the file, one per backbone."""
    for name in built_in_names():
        yield catalog.encode(make_card(name))


if __name__ == "__main__":
    target = Path(catalog.__file__).with_name(catalog.FILE)
    target.write_text("".join(f"{line}\n" for line in make_lines()), encoding="utf-8")
    sys.stdout.write(f"{target}: {len(built_in_names())} backbones, {target.stat().st_size / 1024:.0f} KiB\n")
