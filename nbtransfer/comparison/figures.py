"""Figures as matplotlib objects, without pyplot and its settings: that global state belongs to the user's cells."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from html import escape

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure, SubFigure
from matplotlib.text import Text

COLOURS = ("#2f6fb3", "#d1662f", "#3c8d5a", "#8a5bb0")
"""Of lines: they stand out, 3:1, from a white page and from a black one."""

INK = "#010203"
"""Nearly black. `svg` puts the colour of the text on the page in its place; nothing else in a figure has it."""


def in_ink(figure: Figure, ink: str = INK) -> Figure:
    """Draw text and axes in one colour, but for what has one of COLOURS, and the ground in none."""
    for part in figure.findobj():
        _draw_in(part, ink)
    return figure


def _draw_in(part: Artist, ink: str) -> None:
    if isinstance(part, Text) and part.get_color() not in COLOURS:
        part.set_color(ink)
    elif isinstance(part, Axes):
        part.tick_params(colors=ink)
        part.patch.set_alpha(0)
        for spine in part.spines.values():
            spine.set_edgecolor(ink)
    elif isinstance(part, Figure | SubFigure):
        part.patch.set_alpha(0)


def svg(figure: Figure) -> str:
    """The figure as an `<svg>` element, the same text for the same figure. INK becomes the colour of the text around it."""
    buffer = io.StringIO()
    figure.set_canvas(FigureCanvasSVG(figure))
    figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    return _named_by_content(text[text.index("<svg") :].replace(INK, "currentColor"))


def _named_by_content(text: str) -> str:
    """Matplotlib's ids are random, but for a global setting; figures on one page must not share them either."""
    ids = list(dict.fromkeys(re.findall(r'\bid="([a-z]+[0-9a-f]{10})"', text)))
    numbers = {name: f"{number}" for number, name in enumerate(ids)}
    pattern = re.compile("|".join(ids) or r"(?!)")
    content = hashlib.sha256(pattern.sub(lambda found: numbers[found[0]], text).encode()).hexdigest()[:10]
    return pattern.sub(lambda found: f"f{content}-{numbers[found[0]]}", text)


def png(figure: Figure, dpi: int = 100) -> bytes:
    """The figure as a PNG file, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.set_canvas(FigureCanvasAgg(figure))
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def html(figure: Figure, words: str) -> str:
    """A figure for a notebook's output: as SVG, and as PNG on white where a page takes out SVG, as GitHub does.

    Such a page takes out the style element too, which hides the second picture everywhere else. `words` say what it shows.
    """
    source, words = f"data:image/png;base64,{base64.b64encode(png(figure)).decode()}", escape(words, quote=True)
    plain = f'<img class=nbtransfer-plain alt="{words}" src="{source}" style="background:#fff;max-width:100%">'
    style = "<style>.nbtransfer-figure svg{max-width:100%;height:auto}.nbtransfer-plain{display:none!important}</style>"
    return f'{style}<div class=nbtransfer-figure role=img aria-label="{words}">{svg(figure)}</div>{plain}'
