import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtransfer.core import catalog, strategy
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.strategy import Phase, Strategy
from nbtransfer.errors import PlanError


@given(st.sampled_from(catalog.names()), st.sampled_from(list(strategy.STRATEGIES)), st.integers(2, 50))
def test_phases_add_up_and_fit_every_backbone(backbone, name, epochs):
    card = catalog.card(backbone)
    built = strategy.build(name, card, epochs)
    assert built.epochs == epochs
    for phase in built.phases:
        phase.plan.resolve(card)


def learning_stages(phase, card):
    return [s for s in card.stages if any(phase.plan.resolve(card)[x.name].learns for x in card.layers if x.stage == s)]


def test_what_each_strategy_lets_learn():
    card = catalog.card("resnet18")
    first, second = strategy.build("lp_ft", card, 10).phases
    assert (first.name, first.epochs, learning_stages(first, card)) == ("lp", 3, [])
    assert (second.name, second.epochs, learning_stages(second, card)) == ("ft", 7, list(card.stages))
    assert learning_stages(strategy.build("last_stage", card, 1).phases[0], card) == ["layer4"]


def test_a_lone_final_norm_is_not_taken_for_the_last_stage():
    card = catalog.card("convnext_tiny")
    assert learning_stages(strategy.build("last_stage", card, 1).phases[0], card) == ["stage4", "norm"]


def test_a_recipes_settings_hold_for_the_last_phase():
    card = catalog.card("resnet18")
    built = strategy.build("lp_ft", card, 10)
    plan = FreezePlan.up_to("resnet18", "layer3")
    changed = strategy.with_overrides(built, lr=0.5, schedule="cosine", plan=plan)
    assert changed.phases[0] == built.phases[0]
    assert (changed.phases[1].lr, changed.phases[1].schedule, changed.phases[1].plan) == (0.5, "cosine", plan)


def test_heads_alone_learn_faster_by_default():
    card = catalog.card("resnet18")
    for optimiser in ("adamw", "adam", "sgd"):
        head = strategy.default_lr(optimiser, FreezePlan.all(), card)
        assert head == 10 * strategy.default_lr(optimiser, FreezePlan.none(), card)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: strategy.check_name("lpft"), "there is no strategy 'lpft'; did you mean 'lp_ft'"),
        (lambda: strategy.build("lp_ft", catalog.card("resnet18"), 1), "needs at least 2 epochs"),
        (lambda: Phase("x", FreezePlan(), 0), "phase 'x' has 0 epochs"),
        (lambda: Phase("x", FreezePlan(), 1, lr=0), "phase 'x' has learning rate 0"),
        (lambda: Phase(3, FreezePlan(), 1), "name should be text, not 3"),
        (lambda: Strategy("x", ()), "strategy 'x' has no phase"),
        *(
            (lambda name=name: Phase(name, FreezePlan(), 1), "is no name for a phase; use up to 40 letters")
            for name in (
                "",
                ".",
                "..",
                "a/b",
                "a\\b",
                "a\nb",
                "a\0b",
                "x" * 41,
                "x" * 300,
                " a",
                "a ",
                "a.",
                "a\u202eb",
            )
        ),
        (lambda: Strategy("x", (Phase("a", FreezePlan(), 1), Phase("A", FreezePlan(), 1))), "two phases called 'A'"),
    ],
)
def test_mistakes_are_explained(make, message):
    with pytest.raises(PlanError) as caught:
        make()
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["lp", "last_stage", "stage 4", "über-1", "Köpfe+2", "v1.2", "x" * 40, "7"])
def test_names_that_phases_may_have(name):
    assert Phase(name, FreezePlan(), 1).name == name
