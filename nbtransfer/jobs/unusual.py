"""Settings that are allowed and hardly meant: asked about before a run starts from a form or a command."""

from __future__ import annotations

import os
from collections.abc import Iterator

from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.recipe import Recipe

MOST = {
    "lr": ("the learning rate", 1),
    "image_size": ("the image size in pixels", 2048),
    "batch_size": ("the batch size", 1024),
    "epochs": ("the number of epochs", 10_000),
    "threads": ("the number of threads", os.cpu_count() or 1),
}
"""Beyond these, a slip of the keyboard is likelier than an intention."""
MOST_TIMES = 100
"""The same for how much faster than the head a layer learns."""


def unusual(recipe: Recipe) -> Iterator[str]:
    """One clause for each setting that is far beyond what is usual."""
    for setting in MOST:
        yield from unusual_value(setting, getattr(recipe, setting))
    if recipe.freeze is not None:
        yield from unusual_rates(recipe.freeze)
    if not isinstance(recipe.strategy, str):
        for phase in recipe.strategy.phases:
            yield from unusual_value("lr", phase.lr)
            yield from unusual_value("epochs", phase.epochs)
            yield from unusual_rates(phase.plan)


def unusual_value(setting: str, value: float | None) -> Iterator[str]:
    """The clause for one setting, if there is anything to ask."""
    name, most = MOST[setting]
    if value is not None and value > most:
        yield _clause(name, value, most)


def unusual_rates(plan: FreezePlan) -> Iterator[str]:
    """A clause for each rule that makes layers learn far faster than the head."""
    for rule in plan.rules:
        if rule.lr is not None and rule.lr > MOST_TIMES:
            yield _clause(f"the learning-rate multiplier of {rule.layers!r}", rule.lr, MOST_TIMES)


def _clause(name: str, value: float, most: float) -> str:
    return f"{name} is {value:,}, and more than {most:,} is usually a typing error"
