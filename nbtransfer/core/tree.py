"""Shared layers as a tree of stages, modules and layers, and the freeze plan for a choice in that tree."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from nbtransfer.core.backbone import BackboneCard, LayerCard
from nbtransfer.core.freeze import FreezePlan, Rule

OWN = ":own"
"""Suffix for a module's own tensors if it also contains other layers (a class token, a layer scale)."""


@dataclass(frozen=True, slots=True)
class Node:
    """A stage, a module with several layers, or a layer (`kind` is its class; empty for stages and modules)."""

    id: str
    depth: int
    label: str
    kind: str
    params: int
    layers: tuple[str, ...]

    @property
    def pattern(self) -> str:
        """Its name in a rule of a freeze plan."""
        return self.id.removesuffix(OWN)


def tree(card: BackboneCard) -> tuple[Node, ...]:
    """All nodes, parents before children, in forward order of the stages."""
    return tuple(node for stage in card.stages for node in _stage(card, stage))


def _stage(card: BackboneCard, stage: str) -> Iterator[Node]:
    inside = [layer for layer in card.layers if layer.stage == stage]
    outside = [layer.name for layer in card.layers if layer.stage != stage]
    yield _group(stage, 0, stage, inside)
    # A module belongs to this stage only if all of it does.
    own = [layer for layer in inside if not any(_within(name, layer.name) for name in outside)]
    yield from _below(own, 1, _common(own))
    yield from (_leaf(layer, 1, layer.name) for layer in inside if layer not in own)


def _below(layers: Sequence[LayerCard], depth: int, prefix: str) -> Iterator[Node]:
    """The nodes below the module `prefix`, one for each child; chains of only children are merged."""
    children: dict[str, list[LayerCard]] = {}
    for layer in layers:
        rest = layer.name[len(prefix) :].lstrip(".")
        children.setdefault(rest.split(".")[0], []).append(layer)
    for name, inside in children.items():
        if not name:
            yield Node(inside[0].name + OWN, depth, "own tensors", inside[0].kind, inside[0].params, (inside[0].name,))
        elif len(inside) == 1:
            yield _leaf(inside[0], depth, inside[0].name[len(prefix) :].lstrip("."))
        else:
            common = _common(inside)
            yield _group(common, depth, common[len(prefix) :].lstrip("."), inside)
            yield from _below(inside, depth + 1, common)


def _group(name: str, depth: int, label: str, inside: Sequence[LayerCard]) -> Node:
    return Node(name, depth, label, "", sum(layer.params for layer in inside), tuple(layer.name for layer in inside))


def _leaf(layer: LayerCard, depth: int, label: str) -> Node:
    return Node(layer.name, depth, label, layer.kind, layer.params, (layer.name,))


def _common(layers: Sequence[LayerCard]) -> str:
    """The innermost module that contains all these layers, or is one of them."""
    split = [layer.name.split(".") for layer in layers]
    shared = []
    for parts in zip(*split, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared[: min(map(len, split), default=0) - (len(split) == 1)])


def _within(name: str, module: str) -> bool:
    return f"{name}.".startswith(f"{module}.")


def cover(card: BackboneCard, frozen: Collection[str]) -> tuple[str, ...]:
    """Ids of the fewest nodes that contain exactly these layers."""
    found, held = list[str](), set[str]()
    for node in tree(card):
        if not held.issuperset(node.layers) and all(name in frozen for name in node.layers):
            found.append(node.id)
            held.update(node.layers)
    return tuple(found)


def layers_of(card: BackboneCard, ids: Collection[str]) -> frozenset[str]:
    """The layers in these nodes; unknown ids are ignored."""
    return frozenset(name for node in tree(card) if node.id in ids for name in node.layers)


def plan_of(card: BackboneCard, frozen: Collection[str], like: FreezePlan | None = None) -> FreezePlan:
    """The plan that freezes exactly these layers; learning rates and normalisation stay as in `like`."""
    nodes, rules = tree(card), list[Rule]()

    def visit(index: int, learns: bool) -> int:
        """Add rules where a node or its children differ from `learns`; returns the index after the last child."""
        node = nodes[index]
        end = next((i for i in range(index + 1, len(nodes)) if nodes[i].depth <= node.depth), len(nodes))
        states = {name not in frozen for name in node.layers}
        if len(states) == 1:
            if states != {learns}:
                rules.append(Rule(node.pattern, learns=not learns))
            return end
        child = index + 1
        if nodes[child].id.endswith(OWN):  # a rule for own tensors matches the whole module, so it goes first
            own = nodes[child].layers[0] not in frozen
            if own != learns:
                rules.append(Rule(nodes[child].pattern, learns=own))
            learns, child = own, child + 1
        while child < end:
            child = visit(child, learns)
        return end

    index = 0
    while index < len(nodes):
        index = visit(index, True)
    kept = [Rule(r.layers, None, r.lr, r.norm) for r in (like.rules if like else ()) if r.lr is not None or r.norm is not None]
    return FreezePlan((*rules, *kept))


def rates_in(card: BackboneCard, plan: FreezePlan) -> dict[str, float]:
    """The learning-rate multipliers other than 1, by the id of the layer's node."""
    plans = plan.resolve(card)
    return {node.id: rate for node in tree(card) if node.kind and (rate := plans[node.layers[0]].lr) != 1}


def frozen_in(card: BackboneCard, plan: FreezePlan) -> frozenset[str]:
    """The layers that do not learn under a plan."""
    return frozenset(name for name, entry in plan.resolve(card).items() if not entry.learns)
