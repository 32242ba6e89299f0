"""The layer tree of a widget: nodes that are ticked or not, and the freeze plan they come to."""

from __future__ import annotations

from typing import Protocol

from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.tree import cover, frozen_in, layers_of, plan_of, rates_in, tree
from nbtransfer.ui.traits import NodeRow


class LayersPage(Protocol):
    """What the controller sees of its widget."""

    nodes: list[NodeRow]
    frozen: list[str]
    rates: dict[str, float]


class LayersController:
    """Shows layers in the traits `nodes`, `frozen` and `rates`. The page changes `frozen`: one toggle, one short message."""

    def __init__(self, page: LayersPage, card: BackboneCard, plan: FreezePlan) -> None:
        self._page = page
        self.show(card, plan)

    def show(self, card: BackboneCard, plan: FreezePlan) -> None:
        """Show these layers, ticked as the plan has them. Thread: any, one at a time."""
        self.card, self._like = card, plan
        self._page.nodes = [(n.id, n.depth, n.label, n.kind, n.params) for n in tree(card)]
        self._page.frozen = list(cover(card, frozen_in(card, plan)))
        self._page.rates = rates_in(card, plan)

    def shows(self, card: BackboneCard, plan: FreezePlan) -> bool:
        """Whether these are the layers shown, ticked and with learning rates as the plan has them. Thread: any."""
        if card.name != self.card.name or self._page.rates != rates_in(card, plan):
            return False
        return self.frozen_layers == frozen_in(card, plan)

    @property
    def frozen_layers(self) -> frozenset[str]:
        """Names of all frozen layers. Thread: any."""
        return layers_of(self.card, self._page.frozen)

    @property
    def plan(self) -> FreezePlan:
        """The freeze plan that is ticked. Thread: any."""
        return plan_of(self.card, self.frozen_layers, self._like)
