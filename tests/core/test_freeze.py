import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtransfer.core import catalog
from nbtransfer.core.codec import dumps
from nbtransfer.core.freeze import FreezePlan, Rule
from nbtransfer.core.messages import Message
from nbtransfer.errors import PlanError

RESNET = catalog.card("resnet18")
names = st.sampled_from(catalog.names())


def learning(plan, card=RESNET):
    return {name for name, entry in plan.resolve(card).items() if entry.learns}


def test_all_and_none():
    assert learning(FreezePlan.all()) == set()
    assert learning(FreezePlan.none()) == {layer.name for layer in RESNET.layers} == learning(FreezePlan())
    assert FreezePlan.all().boundary(RESNET) == 5
    assert FreezePlan.none().boundary(RESNET) == 0


@given(names, st.data())
def test_up_to_freezes_exactly_the_stages_before(name, data):
    card = catalog.card(name)
    stage = data.draw(st.sampled_from(card.stages))
    plan = FreezePlan.up_to(name, stage)
    end = card.stages.index(stage) + 1
    resolved = plan.resolve(card)
    assert {x.stage for x in card.layers if not resolved[x.name].learns} == set(card.stages[:end])
    assert {x.stage for x in card.layers if resolved[x.name].learns} == set(card.stages[end:])
    assert plan.boundary(card) == end


@given(names, st.data())
def test_later_rules_win(name, data):
    card = catalog.card(name)
    stage = data.draw(st.sampled_from(card.stages))
    assert FreezePlan.none().freeze(stage).thaw(stage).resolve(card) == FreezePlan.none().resolve(card)
    assert learning(FreezePlan.all().thaw(stage), card) == {x.name for x in card.layers if x.stage == stage}


def test_patterns_reach_layers_and_modules():
    assert learning(FreezePlan.all().thaw("layer4.1.bn2")) == {"layer4.1.bn2"}
    assert learning(FreezePlan.all().thaw("layer4.1")) == {x for x in learning(FreezePlan()) if x.startswith("layer4.1.")}
    assert len(learning(FreezePlan.all().thaw("*.bn?"))) == 17


def test_learning_rate_multipliers_follow_rules():
    plan = FreezePlan.none().with_rules([Rule("*", lr=0.1), Rule("layer4", lr=0.5)]).resolve(RESNET)
    assert plan["layer4.0.conv1"].lr == 0.5
    assert plan["stem.conv1"].lr == 0.1
    assert FreezePlan.all().thaw("layer4", lr=0.3).resolve(RESNET)["layer4.0.conv1"].lr == 0.3


def test_normalisation_modes():
    training = FreezePlan.none().resolve(RESNET)["stem.bn1"]
    frozen = FreezePlan.none().norm("frozen").resolve(RESNET)["stem.bn1"]
    affine = FreezePlan.all().norm("affine_only").resolve(RESNET)
    assert (training.learns, training.updates) == (True, True)
    assert (frozen.learns, frozen.updates) == (True, False)
    assert (affine["stem.bn1"].learns, affine["stem.bn1"].updates) == (True, False)
    assert not affine["stem.conv1"].learns
    assert not FreezePlan.all().resolve(RESNET)["stem.bn1"].updates


def test_layers_without_statistics_never_update_any():
    convnext = catalog.card("convnext_tiny")
    assert not any(entry.updates for entry in FreezePlan.none().resolve(convnext).values())


def test_summary_says_what_learns():
    assert FreezePlan.up_to("resnet18", "layer3").summary(RESNET) == "8.39 M of 11.2 M shared parameters learn: layer4"
    assert FreezePlan.all().summary(RESNET) == "no shared layer learns (0 of 11.2 M)"
    assert "part of stem" in FreezePlan.all().thaw("stem.bn1").summary(RESNET)
    assert FreezePlan.none().summary(RESNET) == "all 11.2 M shared parameters learn"


def test_a_table_shows_what_becomes_of_each_stage():
    plan = FreezePlan.up_to("resnet18", "layer2").thaw("layer4", lr=0.1).norm("frozen", "layer3")
    table = plan.table("resnet18")
    assert [row[0] for row in table] == list(RESNET.stages)
    assert table[0] == ("stem", "0 of 9.54 k", "–", "0", "0 of 1 layers")
    assert table[3] == ("layer3", "2.1 M of 2.1 M", "1", "2.1 M", "0 of 5 layers")
    assert table[4] == ("layer4", "8.39 M of 8.39 M", "0.1", "8.39 M", "5 of 5 layers")
    assert repr(table).splitlines()[0].split("  ")[0] == "stage"
    assert "<td>layer4</td>" in table._repr_html_()


def test_summary_survives_the_journal_with_its_code():
    said = FreezePlan.all().thaw("stem.bn1", "layer4").summary(RESNET)
    again = Message.from_plain(json.loads(dumps(said)))
    assert (again, again.code) == (said, "plan.some")
    assert again.arguments["stages"][0].code == "plan.part"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FreezePlan.up_to("resnet18", "layer9"), "resnet18 has no stage 'layer9'; its stages are stem, layer1"),
        (
            lambda: FreezePlan.all().thaw("layr4").resolve(RESNET),
            "no layer of resnet18 is called 'layr4'; did you mean 'layer4'",
        ),
        (lambda: FreezePlan.all().thaw("layer4", lr=-1), "multiplier of 'layer4' is -1"),
        (lambda: FreezePlan.all().norm("sometimes"), "use 'training', 'frozen' or 'affine_only'"),
    ],
)
def test_mistakes_are_explained(make, message):
    with pytest.raises(PlanError) as caught:
        make()
    assert message in str(caught.value)
