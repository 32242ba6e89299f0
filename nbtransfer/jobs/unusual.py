"""Settings that are allowed and hardly meant: asked about before a run starts from a form."""

from __future__ import annotations

from collections.abc import Iterator

from nbtransfer.core.recipe import Recipe

MOST = {
    "lr": ("the learning rate", 1),
    "image_size": ("the image size in pixels", 2048),
    "batch_size": ("the batch size", 1024),
    "epochs": ("the number of epochs", 10_000),
}
"""Beyond these, a slip of the keyboard is likelier than an intention."""


def unusual(recipe: Recipe) -> Iterator[str]:
    """One clause for each setting that is far beyond what is usual."""
    for setting, (name, most) in MOST.items():
        value = getattr(recipe, setting)
        if value is not None and value > most:
            yield f"{name} is {value:,}, and more than {most:,} is hardly ever meant"
