"""What it costs to explain an image, in seconds, view by view."""

from __future__ import annotations

import functools
import importlib
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

REPEATS = 3
COMPARE = "nbtransfer.attribution.compare"
VIEWS = {
    "private copies, digests": ("private_copy", "shared_digest", "with_random_head"),
    "drift": ("drift.activations", "drift.drift"),
    "split of the change": ("evidence.change",),
    "evidence maps": ("find_cut", "_Pair._evidence"),
    "input attributions": ("input_maps",),
    "floor of a random head": ("integrated_gradients",),
    "agreement, twice": ("agreement",),
}
"""Which functions that `compare` calls make which view."""


def measure() -> dict[str, float]:
    figures = {}
    for name in ("resnet18", "efficientnet_lite0"):
        before, after = two_models(name)
        explained(before, after)  # once to warm up
        rows = [explained(before, after) for _ in range(REPEATS)]
        figures |= {f"{name}, {what}": statistics.median(row[what] for row in rows) for what in rows[0]}
    return figures


def two_models(name: str) -> tuple[Any, Any]:
    import torch

    from nbtransfer.engine.model.transfer_model import TransferModel
    from nbtransfer.pretrained import listing, registry
    from tests.support.trios import CLASSES, calibrate, new_head, randomise

    torch.manual_seed(0)
    card = listing.backbone(name)
    backbone = calibrate(registry.build(card, None, size=224).module, 224)
    before = new_head(TransferModel(backbone, card, card.input.at(224), CLASSES), 1)
    after = new_head(before, 2)
    randomise(after.backbone.parameters(), 0.2, 3)
    calibrate(after.backbone, 224)
    return before, after


def explained(before: Any, after: Any) -> dict[str, float]:
    from nbtransfer.comparison.compare_runs import Comparison, Example
    from tests.support.trios import picture

    module, pixels = importlib.import_module(COMPARE), picture(224)
    with clocked() as clock:
        began = time.perf_counter()
        (finding,) = module.compare(before, after, pixels, [None])
        whole = time.perf_counter() - began
    example = Example("image", pixels[0].permute(1, 2, 0).numpy(), None, after.classes, finding)
    began = time.perf_counter()
    Comparison("before", "after", after.card.name, (example,)).png()
    drawing = time.perf_counter() - began
    return {
        **{f"{view} (s)": clock[view] for view in VIEWS},
        "the whole of compare (s)": whole,
        "drawing the figure (s)": drawing,
        "steps of the path, before": finding.inputs.before.steps,
        "steps of the path, after": finding.inputs.after.steps,
    }


@contextmanager
def clocked() -> Iterator[dict[str, float]]:
    """Adds up the seconds within the functions of each view while they are called as ever."""
    clock: dict[str, float] = defaultdict(float)

    def timed(view: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                clock[view] += time.perf_counter() - began

        return call

    with ExitStack() as patches:
        for view, names in VIEWS.items():
            for name in names:
                *inner, last = name.split(".")
                owner = functools.reduce(getattr, inner, importlib.import_module(COMPARE))
                patches.enter_context(mock.patch.object(owner, last, timed(view, getattr(owner, last))))
        yield clock


if __name__ == "__main__":
    for what, value in measure().items():
        print(f"{what:58} {value:10.3f}")
