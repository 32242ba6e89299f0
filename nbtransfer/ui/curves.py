"""The curves of runs as a figure. Never pyplot, see `comparison.figures`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from nbtransfer.comparison.figures import COLOURS, in_ink
from nbtransfer.core.state import HistoryRow


def curves(histories: Mapping[str, Sequence[HistoryRow]]) -> Figure:
    """Validation accuracy with its 95 % band, and the training and validation loss, over the epochs of several runs.

    In the colour of the page, see `figures.svg`.
    """
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    accuracy, loss = figure.subplots(1, 2)
    for colour, (name, rows) in zip(COLOURS * len(histories), histories.items(), strict=False):
        epochs = [row.epoch for row in rows]
        accuracy.plot(epochs, [row.val_accuracy for row in rows], "o-", color=colour, label=name, markersize=3)
        low, high = [row.val_interval.low for row in rows], [row.val_interval.high for row in rows]
        accuracy.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
        loss.plot(epochs, [row.loss for row in rows], "--", color=colour, label=f"{name}, training", linewidth=1)
        loss.plot(epochs, [row.val_loss for row in rows], "-", color=colour, label=f"{name}, validation")
    accuracy.set(title="Validation accuracy, 95 % band", xlabel="epoch", ylim=(0, 1.02))
    loss.set(title="Loss (nats)", xlabel="epoch", yscale="log")
    for axes in (accuracy, loss):
        axes.legend(fontsize=8, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return in_ink(figure)
