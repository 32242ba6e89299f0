"""The tree of shared layers, over every backbone of the catalogue."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtransfer.core import catalog
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.tree import cover, frozen_in, layers_of, plan_of, tree

CARDS = st.sampled_from(catalog.names()).map(catalog.card)


@pytest.mark.parametrize("name", catalog.names())
def test_a_tree_holds_every_layer_once_and_parents_hold_their_children(name):
    card = catalog.card(name)
    nodes = tree(card)
    leaves = [node for node in nodes if node.kind]
    assert sorted(node.layers[0] for node in leaves) == sorted(layer.name for layer in card.layers)
    assert len({node.id for node in nodes}) == len(nodes)
    assert [node.id for node in nodes if node.depth == 0] == list(card.stages)
    for i, node in enumerate(nodes):
        if not node.kind:
            end = next((j for j in range(i + 1, len(nodes)) if nodes[j].depth <= node.depth), len(nodes))
            below = [leaf.layers[0] for leaf in nodes[i + 1 : end] if leaf.kind]
            assert sorted(below) == sorted(node.layers)
            assert node.params == sum(leaf.params for leaf in nodes[i + 1 : end] if leaf.kind)
            assert node.depth == 0 or len(below) > 1


def draw_layers(data, card):
    """Layers as people tick them: whole nodes, some of them ticked off again."""
    nodes = tree(card)
    chosen = data.draw(st.lists(st.sampled_from(nodes), max_size=6))
    dropped = data.draw(st.lists(st.sampled_from(nodes), max_size=3))
    return {n for node in chosen for n in node.layers} - {n for node in dropped for n in node.layers}


@given(st.data())
def test_a_choice_becomes_the_plan_that_freezes_just_that(data):
    card = data.draw(CARDS)
    frozen = draw_layers(data, card)
    assert frozen_in(card, plan_of(card, frozen)) == frozen
    assert layers_of(card, cover(card, frozen)) == frozen


@given(st.data())
def test_a_choice_keeps_learning_rates_and_normalisation(data):
    card = data.draw(CARDS)
    frozen = draw_layers(data, card)
    like = FreezePlan.all().thaw(card.stages[0], lr=0.1).norm("frozen")
    plans = plan_of(card, frozen, like).resolve(card)
    assert {plans[x.name].lr for x in card.layers if x.stage == card.stages[0]} == {0.1}
    assert not any(entry.updates for entry in plans.values())
    assert {name for name, entry in plans.items() if not entry.learns} == frozen


def test_whole_stages_are_said_in_one_rule_each():
    card = catalog.card("resnet18")
    assert plan_of(card, frozen_in(card, FreezePlan.up_to(card, "layer2"))) == FreezePlan.up_to(card, "layer2")
    assert cover(card, frozen_in(card, FreezePlan.up_to(card, "layer2"))) == ("stem", "layer1", "layer2")


def test_what_a_module_owns_itself_can_be_frozen_alone():
    card = catalog.card("vit_b_32")
    plan = plan_of(card, layers_of(card, ["stem:own"]))
    assert frozen_in(card, plan) == {"stem"}


def test_layers_of_a_backbone_without_a_cut_are_in_their_stages():
    from nbtransfer.pretrained.listing import backbone

    pytest.importorskip("timm")
    card = backbone("timm/vit_tiny_patch16_224")
    frozen = {layer.name for layer in card.layers if layer.stage == card.stages[0]}
    assert frozen_in(card, plan_of(card, frozen)) == frozen
    assert cover(card, frozen) == (card.stages[0],)
