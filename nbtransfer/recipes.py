"""Recipes with a name: what a text prescribes, word for word."""

from __future__ import annotations

from typing import Any

from nbtransfer.core.calls import checked
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.strategy import Phase, Strategy
from nbtransfer.core.task import TaskCard
from nbtransfer.errors import RecipeError

FOUNDING_EPOCHS = 10


@checked(RecipeError)
def founding(task: TaskCard, *, joint: bool = False, **settings: Any) -> Recipe:
    """The worked example of an introduction to transfer learning, exactly as printed.

    VGG16 without its top, global average pooling, one softmax layer; Adam at its usual rate of 0.001 for ten epochs; the
    best epoch is chosen on validation data. Nothing is augmented, nothing decays, and no solver is used.

    joint     whether the shared layers are trained with the head; else they are frozen. The objective in the text sums over
              both, while its code freezes them
    settings  any other fields of the Recipe, such as backbone, weights or image_size
    """
    plan = FreezePlan.none() if joint else FreezePlan.all()
    phase = Phase("joint" if joint else "frozen", plan, FOUNDING_EPOCHS, lr=1e-3, schedule="constant")
    prescribed: dict[str, Any] = {
        "backbone": "vgg16", "strategy": Strategy("founding", (phase,)), "optimiser": "adam", "weight_decay": 0.0,
        "augment": (), "clip_grad": None, "probe": "sgd", "batch_size": 32,
    }  # fmt: skip
    if "epochs" in settings:
        raise RecipeError(
            f"the founding recipe takes {FOUNDING_EPOCHS} epochs; leave epochs= out, or write a Strategy of your own"
        )
    return Recipe(task=task, **{**prescribed, **settings})
