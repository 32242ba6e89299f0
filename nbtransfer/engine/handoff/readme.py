"""The README of an export: what the model is, what it expects, and code that uses it, in this order."""

from __future__ import annotations

from collections.abc import Sequence

from nbtransfer.core.evaluation import Evaluation
from nbtransfer.core.recipe import Recipe
from nbtransfer.engine.handoff.example import FILE
from nbtransfer.engine.handoff.formats import WrittenModel
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.store import kept_weights


def readme(
    model: TransferModel, recipe: Recipe, scores: Sequence[Evaluation], written: WrittenModel, caveats: Sequence[str]
) -> str:
    """The text, in Markdown."""
    classes = [f"{number}. {name}" for number, name in enumerate(model.classes)]
    lines = [
        f"# {recipe.task.name}",
        "",
        f"Image classifier: `{model.card.name}` with the strategy `{recipe.strategy_name}`.",
        *_scores(scores),
        *(f"- {caveat}" for caveat in caveats),
        "",
        f"Shared layers: {model.card.origin}, {_licence(model, recipe)}.",
        *([f"Trained on, newest first: {lineage}."] if (lineage := recipe.lineage(model.card)) else []),
        "",
        "## Classes",
        "",
        "In the order of the logits, from 0:",
        "",
        *classes,
        "",
        "## Input",
        "",
        *_preprocessing(model),
        "",
        "`model.json` holds classes and preprocessing for programs.",
        "",
        "## Use",
        "",
        f"In this folder, with {_list(written.packages)} installed. `{FILE}` is synthetic; `model.json` holds its answer.",
        "",
        "```python",
        written.code.rstrip("\n"),
        "```",
        "",
    ]
    return "\n".join(lines)


def _licence(model: TransferModel, recipe: Recipe) -> str:
    """Only published weights have the licence of the card."""
    if recipe.weights is None:
        return "trained from random weights"
    if recipe.weights_file is not None and kept_weights.holds(recipe.weights_file):
        return "continued from an earlier run, and the licence of its weights applies"
    if recipe.weights_file is not None:
        return "trained from weights in a file, whose licence applies"
    return f"licence of their weights: {model.card.weights_named(recipe.weights).licence}"


def _scores(scores: Sequence[Evaluation]) -> list[str]:
    return [
        f"Accuracy on {s.examples} {s.split} images: {s.accuracy:.3f} (95 % {s.interval.low:.3f}–{s.interval.high:.3f})."
        for s in scores
    ]


def _preprocessing(model: TransferModel) -> list[str]:
    spec, white = model.spec, model.reading.white_level
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (spec.mean, spec.std))
    height, width = spec.shape
    return [
        f"1. The image upright (EXIF), transparent parts on white, as 8-bit RGB (in 16-bit greys, {white:,} is white).",
        f"2. Resized and cropped: {spec.preparation}, {spec.interpolation} with antialiasing (as Pillow does).",
        f"3. Values divided by 255, minus the mean ({mean}), divided by the standard deviation ({std}) of each channel.",
        f"4. float32, channels first: (N, 3, {height}, {width}) for N images.",
    ]


def _list(packages: Sequence[str]) -> str:
    *others, last = packages
    return f"{', '.join(others)} and {last}" if others else last
