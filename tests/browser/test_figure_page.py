"""Figures in a notebook that was converted to a page, in a real browser."""

from __future__ import annotations

import nbformat
from matplotlib.figure import Figure
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook, new_output

from nbtransfer.comparison.figures import html


def test_each_is_shown_once(new_page, tmp_path):
    """Jupyter's own styles show every picture; what is kept for pages without SVG must stay hidden all the same."""
    figure = Figure(figsize=(2, 1))
    figure.add_subplot().plot([0, 1])
    output = new_output("display_data", {"text/html": html(figure, "a line")})
    notebook = new_notebook(cells=[new_code_cell("figure", outputs=[output])])
    nbformat.validate(notebook)
    (tmp_path / "page.html").write_text(HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    page = new_page()
    page.goto((tmp_path / "page.html").as_uri())
    assert page.locator(".nbtransfer-figure svg").is_visible()
    assert not page.locator("img.nbtransfer-plain").is_visible()
