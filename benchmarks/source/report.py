"""The table and the plot of what was measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from benchmarks.source.pairs import PAIRS, Pair
from benchmarks.source.runs import ARMS, STEPS, Cell
from nbtransfer.comparison.figures import COLOURS, in_ink

GREY = "#7d7d7d"
"""Of scratch, and of text and axes: it stands out from a white page and from a black one."""
STYLES = dict(
    zip(
        (arm.name for arm in ARMS),
        ((COLOURS[0], "--", "o"), (COLOURS[0], "-", "o"), (COLOURS[1], "--", "s"), (COLOURS[1], "-", "s"), (GREY, "-", "^")),
        strict=True,
    )
)
STUDENT = {5: 2.776}
"""The 97.5 % quantile of Student's t with one degree of freedom less than there are seeds."""


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half of its 95 % interval over seeds."""
    return statistics.mean(values), STUDENT[len(values)] * statistics.stdev(values) / math.sqrt(len(values))


def accuracies(cells: Iterable[Cell], pair: Pair, arm: str, per_class: int) -> list[float]:
    """One for each seed, in their order."""
    wanted = {"pair": pair.name, "arm": arm, "per_class": per_class}
    return [cell["accuracy"] for cell in sorted(cells, key=lambda cell: cell["seed"]) if wanted.items() <= cell.items()]


def table(cells: Sequence[Cell]) -> str:
    """Markdown: mean accuracy ± half of the interval; the greatest mean of a column in each pair is bold."""
    lines = []
    for pair in PAIRS:
        head = [f"{per_class} a class" for per_class in STEPS]
        lines += ["", f"**{pair.name}**", "", row(["", *head]), row(["---"] * (len(head) + 1))]
        found = {arm.name: [interval(accuracies(cells, pair, arm.name, n)) for n in STEPS] for arm in ARMS}
        best = [max(column) for column in zip(*([mean for mean, _ in line] for line in found.values()), strict=True)]
        for name, line in found.items():
            lines.append(row([name, *(shown(*one, best=one[0] == top) for one, top in zip(line, best, strict=True))]))
    return "\n".join(lines[1:])


def shown(mean: float, half: float, *, best: bool) -> str:
    text = f"{mean:.3f} ± {half:.3f}"
    return f"**{text}**" if best else text


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def gains(cells: Sequence[Cell]) -> str:
    """Markdown: differences within a seed, whose images are the same, with the 95 % interval of their mean."""
    lines = [
        row(["fine-tuned source layers against", "pair", *(f"{n} a class" for n in STEPS)]),
        row(["---"] * (len(STEPS) + 2)),
    ]
    for other in ("from scratch", "ImageNet, fine-tuned"):
        for pair in PAIRS:
            halves = []
            for n in STEPS:
                ours, theirs = (accuracies(cells, pair, arm, n) for arm in ("source, fine-tuned", other))
                mean, half = interval([a - b for a, b in zip(ours, theirs, strict=True)])
                halves.append(f"{mean:+.3f} ± {half:.3f}".replace("-", "−"))
            lines.append(row([other, pair.name, *halves]))
    return "\n".join(lines)


def plot(cells: Sequence[Cell], file: Path) -> None:
    """One panel a pair; bars are 95 % intervals over seeds."""
    figure = Figure(figsize=(9, 7.2), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    for axes, pair in zip(panels.flat, PAIRS, strict=True):
        panel(axes, cells, pair)
    for axes in panels[1]:
        axes.set_xlabel("target images a class")
    for axes in panels[:, 0]:
        axes.set_ylabel("accuracy, test images")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    in_ink(figure, GREY)
    FigureCanvasSVG(figure)
    figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)


def panel(axes: Axes, cells: Sequence[Cell], pair: Pair) -> None:
    sizes = list(STEPS)
    for number, arm in enumerate(ARMS):
        colour, line, marker = STYLES[arm.name]
        means, halves = zip(*(interval(accuracies(cells, pair, arm.name, n)) for n in sizes), strict=True)
        places = [n * 1.03 ** (number - 2) for n in sizes]  # beside each other, so that bars can be told apart
        axes.errorbar(places, means, halves, color=colour, ls=line, marker=marker, ms=4, lw=1.5, capsize=2, label=arm.name)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.minorticks_off()
    axes.set_ylim(top=1.02)
    axes.grid(alpha=0.25)
    axes.set_title(pair.name + ("" if pair.related else " (unrelated)"), fontsize=10)
