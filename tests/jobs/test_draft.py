"""A recipe in the making: checked at every change, all or nothing."""

from __future__ import annotations

import pytest

import nbtransfer as nt
from nbtransfer.errors import BackboneError, PlanError, RecipeError, TaskError
from nbtransfer.jobs.draft import Draft


def test_choices_add_up_to_a_recipe(images):
    draft = Draft()
    with pytest.raises(TaskError, match="no target task yet"):
        draft.recipe()
    task = nt.Task.from_folder(images)
    draft.choose(task=task)
    draft.choose(backbone="resnet34", strategy="ft", epochs=3)
    plan = nt.FreezePlan.up_to("resnet34", "layer2")
    draft.choose(freeze=plan)
    assert draft.recipe() == nt.Recipe(task=task, backbone="resnet34", strategy="ft", epochs=3, freeze=plan)
    assert draft.plan == plan


def test_another_backbone_or_strategy_brings_its_own_plan():
    draft = Draft()
    for change in ({"backbone": "vgg11"}, {"strategy": "lp"}):
        draft.choose(freeze=nt.FreezePlan.all())
        draft.choose(**change)
        assert draft.choices.freeze is None
    assert draft.plan.boundary(draft.card) == len(draft.card.stages)


def test_what_was_frozen_by_hand_holds_between_strategies_that_freeze_the_same():
    draft = Draft()
    plan = nt.FreezePlan.up_to("resnet18", "layer2")
    draft.choose(freeze=plan)
    draft.choose(strategy="ft", epochs=3)
    assert draft.plan == plan


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"backbone": "resnet19"}, BackboneError),
        ({"strategy": "magic"}, PlanError),
        ({"epochs": 0}, RecipeError),
        ({"freeze": nt.FreezePlan.all().thaw("layer9")}, PlanError),
        ({"image_size": 300, "backbone": "vit_b_16"}, RecipeError),
    ],
)
def test_what_cannot_work_is_refused_and_changes_nothing(change, error):
    draft = Draft()
    before, revision = draft.choices, draft.revision
    with pytest.raises(error):
        draft.choose(seed=7, **change)
    assert (draft.choices, draft.revision) == (before, revision)
