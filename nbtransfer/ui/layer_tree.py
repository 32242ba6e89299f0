"""`LayerTree`: shared layers as a tree in which people tick what may learn."""

from __future__ import annotations

from typing import Any

import traitlets

from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.calls import checked_class
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.errors import InputError
from nbtransfer.pretrained import listing
from nbtransfer.ui.layers_controller import LayersController
from nbtransfer.ui.traits import NodeRow
from nbtransfer.ui.widget import Panel, Trait, bundle, synced


@checked_class(InputError)
class LayerTree(Panel):
    """The layers of a backbone, to tick which of them may learn.

    `plan` is the freeze plan ticked, ready for a Recipe; setting it ticks the boxes. `frozen` names the fewest stages,
    modules and layers that hold all that is frozen; observe it to be told of every change.
    """

    _esm = bundle("layer_tree")

    nodes: Trait[list[NodeRow]] = synced(traitlets.List())
    frozen: Trait[list[str]] = synced(traitlets.List(traitlets.Unicode()))
    rates: Trait[dict[str, float]] = synced(traitlets.Dict())

    def __init__(self, backbone: str | BackboneCard, plan: FreezePlan | None = None, **traits: Any) -> None:
        super().__init__(**traits)
        card = listing.backbone(backbone) if isinstance(backbone, str) else backbone
        self._layers = LayersController(self, card, plan or FreezePlan.none())

    @property
    def frozen_layers(self) -> frozenset[str]:
        """Names of all frozen layers."""
        return self._layers.frozen_layers

    @property
    def plan(self) -> FreezePlan:
        """The freeze plan that is ticked."""
        return self._layers.plan

    @plan.setter
    def plan(self, plan: FreezePlan) -> None:
        self._layers.show(self._layers.card, plan)

    def __repr__(self) -> str:
        return f"LayerTree({self._layers.card.name!r}, {self.plan.summary(self._layers.card)})"
