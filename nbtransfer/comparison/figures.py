"""Figures as matplotlib objects, without pyplot: its global state belongs to the user's cells."""

from __future__ import annotations

import io

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

COLOURS = ("#2f6fb3", "#d1662f", "#3c8d5a", "#8a5bb0")


def svg(figure: Figure) -> str:
    """The figure as an `<svg>` element, the same text for the same figure."""
    buffer = io.StringIO()
    figure.set_canvas(FigureCanvasSVG(figure))
    with rc_context({"svg.hashsalt": "nbtransfer"}):  # otherwise ids inside the file are random
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def png(figure: Figure, dpi: int = 100) -> bytes:
    """The figure as a PNG file, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.set_canvas(FigureCanvasAgg(figure))
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
