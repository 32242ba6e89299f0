"""`LayerTree`: shared layers as a tree in which people tick what may learn."""

from __future__ import annotations

from typing import Any

import traitlets

from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.tree import cover, frozen_in, layers_of, plan_of, tree
from nbtransfer.pretrained import listing
from nbtransfer.ui.widget import Panel, module


class TreePart(traitlets.HasTraits):
    """What a widget with a layer tree synchronises.

    nodes    rows [id, depth, label, kind, params], each before what it holds
    frozen   ids of the fewest nodes that hold all frozen layers: one toggle, one short message
    """

    nodes: traitlets.List[Any] = traitlets.List().tag(sync=True)
    frozen = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def show_layers(self, card: BackboneCard, plan: FreezePlan) -> None:
        """Show these layers, ticked as the plan has them."""
        self._card, self._like = card, plan
        self.nodes = [[n.id, n.depth, n.label, n.kind, n.params] for n in tree(card)]
        self.frozen = list(cover(card, frozen_in(card, plan)))

    @property
    def frozen_layers(self) -> frozenset[str]:
        """Names of all frozen layers."""
        return layers_of(self._card, self.frozen)

    @property
    def plan(self) -> FreezePlan:
        """The freeze plan that is ticked."""
        return plan_of(self._card, self.frozen_layers, self._like)


class LayerTree(TreePart, Panel):
    """The layers of a backbone, to tick which of them may learn.

    `plan` is the freeze plan ticked, ready for a Recipe; setting it ticks the boxes. `frozen` names the fewest stages,
    modules and layers that hold all that is frozen; observe it to be told of every change.
    """

    _esm = module("dom", "link", "tree", "layer_tree")

    def __init__(self, backbone: str | BackboneCard, plan: FreezePlan | None = None, **traits: Any) -> None:
        super().__init__(**traits)
        card = listing.backbone(backbone) if isinstance(backbone, str) else backbone
        self.show_layers(card, plan or FreezePlan.none())

    @property
    def plan(self) -> FreezePlan:
        return super().plan

    @plan.setter
    def plan(self, plan: FreezePlan) -> None:
        self.show_layers(self._card, plan)

    def __repr__(self) -> str:
        return f"LayerTree({self._card.name!r}, {self.plan.summary(self._card)})"
