"""One image of a comparison as a figure: what changed, where, and due to what. No pyplot, see `figures`."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from nbtransfer.attribution.findings import Array, Drift, Evidence, InputMap, Inputs, Part
from nbtransfer.comparison.example import Example, agreement_text, interaction_text, method_text, signed
from nbtransfer.comparison.figures import COLOURS

COLOURMAP = "RdBu_r"
PERCENTILE = 99.5
CELLS = 56
"""Input attributions alternate from pixel to pixel; they are drawn as sums over squares, at most this many across."""
DOUBTFUL = 0.05
"""Completeness errors above this are coloured."""
SMALL, MANY_STAGES = 8, 12


def draw(example: Example, before: str, after: str, ink: str) -> Figure:
    """The figure of one example; `before` and `after` name the models, `ink` is the colour of text and lines."""
    figure = Figure(figsize=(11, 5.8), layout="constrained", facecolor="none")
    f, c = example.finding, example.finding.change
    figure.suptitle(
        f"Evidence for “{example.target}”: {c.before:.2f} → {c.after:.2f} is {signed(c.total)} = {signed(c.shared)} shared "
        f"features {signed(c.head)} head ({interaction_text(c)})",
        fontsize=11,
        color=ink,
    )
    figure.supxlabel(f"before: {before}   ·   after: {after}", fontsize=SMALL, color=ink)
    # Separate rows: the colour bar of one would open a gap in the other.
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1.05))  # type: ignore[misc]
    for row in (upper, lower):
        row.patch.set_alpha(0)
    image, *places = upper.subplots(1, 5)
    _image(image, example, ink)
    if f.evidence is None:
        _note(places, f.note, ink)
    else:
        _evidence(upper, places, f.evidence, ink)
    numbers, first, second, drift = lower.subplots(1, 4, width_ratios=(1, 1, 1, 2))
    _numbers(numbers, example, ink)
    _inputs(lower, [first, second], f.inputs, ink)
    _drift(drift, f.drift, ink)
    return figure


def _image(axes: Axes, example: Example, ink: str) -> None:
    axes.imshow(example.pixels)
    truth = f"is {example.truth}" if example.truth else "image"
    _label(axes, truth, "before: {}\nafter: {}".format(*example.answers), ink)


def _evidence(figure: SubFigure, places: list[Axes], evidence: Evidence, ink: str) -> None:
    titles = ("evidence before", "evidence after", "change: shared features", "change: head")
    limit = _scale_limit(*(part.map for part in evidence.parts.values()))
    for axes, title, part in zip(places, titles, evidence.parts.values(), strict=True):
        drawn = _map(axes, part.map, limit)
        _label(axes, title, _sums_text(part, evidence.exact), ink)
    _bar(figure, drawn, places, f"logits per cell\n{method_text(evidence)}", ink)


def _sums_text(part: Part, exact: bool) -> str:
    tokens = f"  tokens {signed(part.tokens)}" if part.tokens else ""
    elsewhere = "bias" if exact else "in baseline"
    return f"sum {signed(float(part.map.sum()))}{tokens}\n{elsewhere} {signed(part.offset)}  left over {part.residual:.0e}"


def _inputs(figure: SubFigure, places: list[Axes], inputs: Inputs, ink: str) -> None:
    size = _block_size(inputs.before.map)
    maps = [_block_sums(found.map, size) for found in (inputs.before, inputs.after)]
    limit = _scale_limit(*maps)
    for axes, title, found, summed in zip(places, ("before", "after"), (inputs.before, inputs.after), maps, strict=True):
        drawn = _map(axes, summed, limit)
        _label(axes, f"input attribution {title}", _completeness_text(found), ink, doubtful=found.error > DOUBTFUL)
    note = f"logits per {size} × {size} px" if size > 1 else "logits per px"
    _bar(figure, drawn, places, f"{note}\nbaseline: {inputs.baseline}", ink)


def _completeness_text(found: InputMap) -> str:
    return f"sum {signed(float(found.map.sum()))} of {signed(found.difference)}\nerror {found.error:.1%} in {found.steps} steps"


def _block_size(values: Array) -> int:
    return max(1, math.ceil(len(values) / CELLS))


def _block_sums(values: Array, size: int) -> Array:
    """Sums over squares of `size` pixels; the border may cut the last ones off."""
    starts = [np.arange(0, length, size) for length in values.shape]
    summed: Array = np.add.reduceat(np.add.reduceat(values, starts[0], axis=0), starts[1], axis=1)
    return summed


def _numbers(axes: Axes, example: Example, ink: str) -> None:
    c, inputs = example.finding.change, example.finding.inputs
    lines = [
        "evidence, in logits",
        f"old features, old head  {c.before:6.2f}",
        f"new features, old head  {c.only_features:6.2f}",
        f"old features, new head  {c.only_head:6.2f}",
        f"new features, new head  {c.after:6.2f}",
        f"only both together      {signed(c.interaction):>6}",
        "",
        "input maps agree",
        f"before, after  {agreement_text(inputs.agreement)}",
        f"random head    {agreement_text(inputs.floor)}",
    ]
    axes.axis("off")
    axes.text(0, 1, "\n".join(lines), va="top", fontsize=7, family="monospace", color=ink, linespacing=1.35)


def _drift(axes: Axes, drift: tuple[Drift, ...], ink: str) -> None:
    """A bar for each stage; a tick where nothing differs by a single bit."""
    axes.bar(range(len(drift)), [d.distance for d in drift], color=COLOURS[0], width=0.7)
    numbers = SMALL if len(drift) <= MANY_STAGES else 6
    highest = max([d.distance for d in drift] + [0.05])
    for place, d in enumerate(drift):
        text = "✓" if d.bitwise_equal else f"{d.distance:.2f}"
        axes.text(place, d.distance + 0.02 * highest, text, ha="center", fontsize=numbers, color=ink)
    axes.set_xticks(range(len(drift)), [d.stage for d in drift], rotation=45, ha="right", fontsize=SMALL)
    axes.set_ylim(0, 1.15 * highest)
    axes.set_title("drift of each stage: 1 − cosine  (✓ bitwise equal)", fontsize=9, color=ink)
    axes.patch.set_alpha(0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(ink)
    axes.tick_params(colors=ink, labelsize=SMALL)


def _scale_limit(*maps: Array) -> float:
    """One symmetric scale for all maps; a few extreme values may lie beyond it."""
    return float(np.percentile(np.abs(np.concatenate([m.ravel() for m in maps])), PERCENTILE)) or 1.0


def _map(axes: Axes, values: Array, limit: float) -> Any:
    return axes.imshow(values, cmap=COLOURMAP, vmin=-limit, vmax=limit, interpolation="nearest")


def _bar(figure: SubFigure, drawn: Any, places: list[Axes], label: str, ink: str) -> None:
    bar = figure.colorbar(drawn, ax=places, fraction=0.025, pad=0.01, extend="both")
    bar.set_label(label, fontsize=7, color=ink)
    bar.ax.tick_params(colors=ink, labelsize=7)
    bar.outline.set_edgecolor(ink)


def _label(axes: Axes, title: str, below: str, ink: str, *, doubtful: bool = False) -> None:
    axes.set_title(title, fontsize=9, color=ink)
    axes.set_xlabel(below, fontsize=SMALL, color=COLOURS[1] if doubtful else ink)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(ink)


def _note(places: list[Axes], text: str, ink: str) -> None:
    for axes in places:
        axes.axis("off")
    written = places[0].text(0, 0.5, textwrap.fill(text, 70), va="center", fontsize=9, color=ink)
    written.set_in_layout(False)  # it may run over the empty axes beside it
