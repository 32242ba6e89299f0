"""One image of a comparison as a figure: what changed, where, and due to what. No pyplot, see `figures`."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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


@dataclass(frozen=True)
class Places:
    """Where the parts of a figure are drawn."""

    image: Axes
    evidence: Sequence[Axes]
    numbers: Axes
    inputs: Sequence[Axes]
    drift: Axes


def draw(example: Example, before: str, after: str, *, narrow: bool = False) -> Figure:
    """The figure of one example, 11 inches wide, or 4.4 and taller; `before` and `after` name the models."""
    figure = Figure(figsize=(4.4, 12.4) if narrow else (11, 5.8), layout="constrained")
    letters = 50 if narrow else 200  # on a line
    f, c = example.finding, example.finding.change
    title = (
        f"Evidence for “{example.target}”: {c.before:.2f} → {c.after:.2f} is {signed(c.total)} = {signed(c.shared)} shared "
        f"features {signed(c.head)} head ({interaction_text(c)})"
    )
    figure.suptitle(textwrap.fill(title, letters), fontsize=9 if narrow else 11)
    figure.supxlabel(textwrap.fill(f"before: {before}   ·   after: {after}", letters), fontsize=SMALL)
    places = _narrow_places(figure) if narrow else _wide_places(figure)
    _image(places.image, example)
    if f.evidence is None:
        _note(places.evidence, f.note, 40 if narrow else 70)
    else:
        _evidence(places.evidence, f.evidence)
    _numbers(places.numbers, example)
    _inputs(places.inputs, f.inputs)
    _drift(places.drift, f.drift)
    return figure


# Separate rows: the colour bar of one would open a gap in the other.


def _wide_places(figure: Figure) -> Places:
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1.05))  # type: ignore[misc]
    image, *evidence = upper.subplots(1, 5)
    numbers, first, second, drift = lower.subplots(1, 4, width_ratios=(1, 1, 1, 2))
    return Places(image, evidence, numbers, (first, second), drift)


def _narrow_places(figure: Figure) -> Places:
    first, second, third, last = figure.subfigures(4, 1, height_ratios=(1.1, 2.2, 1.2, 1.1))  # type: ignore[misc]
    image, numbers = first.subplots(1, 2)
    return Places(image, second.subplots(2, 2).ravel(), numbers, third.subplots(1, 2), last.subplots())


def _image(axes: Axes, example: Example) -> None:
    axes.imshow(example.pixels)
    truth = f"is {example.truth}" if example.truth else "image"
    _label(axes, truth, "before: {}\nafter: {}".format(*example.answers))


def _evidence(places: Sequence[Axes], evidence: Evidence) -> None:
    titles = ("evidence before", "evidence after", "change: shared features", "change: head")
    limit = _scale_limit(*(part.map for part in evidence.parts.values()))
    for axes, title, part in zip(places, titles, evidence.parts.values(), strict=True):
        drawn = _map(axes, part.map, limit)
        _label(axes, title, _sums_text(part, evidence.exact))
    _bar(drawn, places, f"logits per cell\n{method_text(evidence)}")


def _sums_text(part: Part, exact: bool) -> str:
    tokens = f"  tokens {signed(part.tokens)}" if part.tokens else ""
    elsewhere = "bias" if exact else "in baseline"
    return f"sum {signed(float(part.map.sum()))}{tokens}\n{elsewhere} {signed(part.offset)}  left over {part.residual:.0e}"


def _inputs(places: Sequence[Axes], inputs: Inputs) -> None:
    size = _block_size(inputs.before.map)
    maps = [_block_sums(found.map, size) for found in (inputs.before, inputs.after)]
    limit = _scale_limit(*maps)
    for axes, title, found, summed in zip(places, ("before", "after"), (inputs.before, inputs.after), maps, strict=True):
        drawn = _map(axes, summed, limit)
        _label(axes, f"input attribution {title}", _completeness_text(found), doubtful=found.error > DOUBTFUL)
    note = f"logits per {size} × {size} px" if size > 1 else "logits per px"
    _bar(drawn, places, f"{note}\nbaseline: {inputs.baseline}")


def _completeness_text(found: InputMap) -> str:
    return f"sum {signed(float(found.map.sum()))} of {signed(found.difference)}\nerror {found.error:.1%} in {found.steps} steps"


def _block_size(values: Array) -> int:
    return max(1, math.ceil(len(values) / CELLS))


def _block_sums(values: Array, size: int) -> Array:
    """Sums over squares of `size` pixels; the border may cut the last ones off."""
    starts = [np.arange(0, length, size) for length in values.shape]
    summed: Array = np.add.reduceat(np.add.reduceat(values, starts[0], axis=0), starts[1], axis=1)
    return summed


def _numbers(axes: Axes, example: Example) -> None:
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
    axes.text(0, 1, "\n".join(lines), va="top", fontsize=7, family="monospace", linespacing=1.35)


def _drift(axes: Axes, drift: tuple[Drift, ...]) -> None:
    """A bar for each stage; a tick where nothing differs by a single bit."""
    axes.bar(range(len(drift)), [d.distance for d in drift], color=COLOURS[0], width=0.7)
    numbers = SMALL if len(drift) <= MANY_STAGES else 6
    highest = max([d.distance for d in drift] + [0.05])
    for place, d in enumerate(drift):
        text = "✓" if d.bitwise_equal else f"{d.distance:.2f}"
        axes.text(place, d.distance + 0.02 * highest, text, ha="center", fontsize=numbers)
    axes.set_xticks(range(len(drift)), [d.stage for d in drift], rotation=45, ha="right", fontsize=SMALL)
    axes.set_ylim(0, 1.15 * highest)
    axes.set_title("drift of each stage: 1 − cosine  (✓ bitwise equal)", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)


def _scale_limit(*maps: Array) -> float:
    """One symmetric scale for all maps; a few extreme values may lie beyond it."""
    return float(np.percentile(np.abs(np.concatenate([m.ravel() for m in maps])), PERCENTILE)) or 1.0


def _map(axes: Axes, values: Array, limit: float) -> Any:
    return axes.imshow(values, cmap=COLOURMAP, vmin=-limit, vmax=limit, interpolation="none")


def _bar(drawn: Any, places: Sequence[Axes], label: str) -> None:
    bar = places[0].figure.colorbar(drawn, ax=places, fraction=0.025, pad=0.01, extend="both")
    bar.set_label(label, fontsize=7)
    bar.ax.tick_params(labelsize=7)


def _label(axes: Axes, title: str, below: str, *, doubtful: bool = False) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(below, fontsize=SMALL)
    if doubtful:
        axes.xaxis.label.set_color(COLOURS[1])
    axes.set_xticks([])
    axes.set_yticks([])


def _note(places: Sequence[Axes], text: str, letters: int) -> None:
    for axes in places:
        axes.axis("off")
    written = places[0].text(0, 0.5, textwrap.fill(text, letters), va="center", fontsize=9)
    written.set_in_layout(False)  # it may run over the empty axes beside it
