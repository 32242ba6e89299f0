"""Recipes that are printed in a text."""

from __future__ import annotations

import pytest

import nbtransfer as nt
from tests.support.training import trained


@pytest.mark.parametrize("joint", [False, True])
def test_the_founding_recipe_word_for_word(images, joint):
    recipe = nt.recipes.founding(nt.Task.from_folder(images), joint=joint)
    card = nt.backbone("vgg16")
    (phase,) = recipe.resolved(card).phases
    assert (recipe.backbone, recipe.weights, recipe.optimiser) == ("vgg16", "default", "adam")
    assert (phase.epochs, phase.lr, phase.schedule) == (10, 1e-3, "constant")
    assert recipe.solver(phase, card) is None
    assert {entry.learns for entry in phase.plan.resolve(card).values()} == {joint}
    assert card.stages == ("block1", "block2", "block3", "block4", "block5")  # without its top


def test_it_runs_and_can_be_varied(images):
    recipe = nt.recipes.founding(
        nt.Task.from_folder(images, holdout=0.25), backbone="shufflenet_v2_x0_5", weights=None, image_size=40, device="cpu"
    )
    assert len(trained(recipe)[0]) > 0
