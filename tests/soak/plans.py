"""The recipes that runs are killed under: every way to learn, with what else changes the order of things."""

from __future__ import annotations

from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.strategy import Phase, Strategy
from tests.support.runs import recipe

STEPWISE = {"probe": "sgd", "cache": "off"}
CACHED = {"probe": "sgd", "cache": "on"}
GRADUAL = Strategy(
    "gradual",
    (
        Phase("head", FreezePlan.all(), 3, lr=0.01),
        Phase("stage4", FreezePlan.all().thaw("stage4", "conv5"), 4, schedule="cosine"),
        Phase("all", FreezePlan.none(), 5),
    ),
)
PLANS = {
    "ft, statistics learn": STEPWISE,
    "gradual, cached": {**CACHED, "strategy": GRADUAL},
    "lp, cached": {**CACHED, "strategy": "lp"},
    "lp_ft": {**STEPWISE, "strategy": "lp_ft"},
    "lp_ft, head solved": {"strategy": "lp_ft"},
    "gradual": {**STEPWISE, "strategy": GRADUAL},
    "ft, statistics frozen": {**STEPWISE, "freeze": FreezePlan.none().norm("frozen"), "optimiser": "sgd"},
    "bf16": {**STEPWISE, "strategy": "last_stage", "precision": "bf16"},
    "normalisation only": {**STEPWISE, "freeze": FreezePlan.all().norm("affine_only")},
    "two loader workers": {**STEPWISE, "loader_workers": 2, "augment": ("flip", "crop", "colour"), "label_smoothing": 0.1},
    "dropout": {**STEPWISE, "backbone": "efficientnet_b0"},
}
"""The first ones are those that the short version takes."""


def made(images, name):
    """The recipe of a plan: long enough to be killed anywhere, with checkpoints inside its epochs.

    Its precision is given: where it is chosen by measurement, two runs of one recipe may choose differently.
    """
    return recipe(images, **{"epochs": 12, "checkpoint_every": 3, "precision": "fp32", **PLANS[name]})
