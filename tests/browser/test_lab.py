"""The tutorial in JupyterLab 4 and Notebook 7, as people use it: real servers, kernels, workers and a real browser."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browsers import PATIENCE
from tests.support.jupyter import Server

TUTORIAL = Path(__file__).parents[2] / "notebooks/01_first_transfer.ipynb"
FEW = "--per-class 24"
"""Enough to draw curves: what a tutorial must learn from, nobody has to wait for here."""
MORE = {
    "plan": "draft.choose(epochs=500, threads=1, image_size=64)\nprint(draft.plan.summary(draft.card))",  # until it is stopped
    "compute": "import time\nfor _ in range(16):\n    time.sleep(0.25)\nprint('computed')",
    "attach": "%load_ext nbtransfer\nimport nbtransfer as nt\n%transfer attach {nt.runs()[0].id}",
}
DRAWN = "(document.querySelector('.nbt-dashboard path.nbt-train')?.getAttribute('d').length ?? 0)"
"""How much of the curve of the training loss there is."""

expect.set_options(timeout=PATIENCE)


@dataclass
class Notebook:
    """A notebook open in a browser."""

    page: Page
    server: Server
    kind: str
    name: str
    places: dict[str, int]

    def open(self) -> None:
        self.page.goto(self.server.url(self.kind, self.name))
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        self.page.wait_for_function(
            "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        )

    def cell(self, name: str) -> Locator:
        return self.page.locator(f"[data-windowed-list-index='{self.places[name]}']")

    def run(self, name: str) -> None:
        """Run a cell; returns at once."""
        run = """(number) => {
          window.jupyterapp.shell.currentWidget.content.activeCellIndex = number;
          void window.jupyterapp.commands.execute("notebook:run-cell");
        }"""
        self.page.evaluate(run, self.places[name])

    def run_to_end(self, name: str) -> None:
        self.run(name)
        self.look_at(name)
        expect(self.cell(name).locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]"))

    def look_at(self, name: str) -> None:
        """Bring a cell into view: what is out of view may not be in the page at all."""
        scroll = "(number) => window.jupyterapp.shell.currentWidget.content.scrollToItem(number, 'start')"
        self.page.evaluate(scroll, self.places[name])

    def cells(self) -> list[str]:
        """What all cells hold."""
        each = "(cell) => cell.model.type + cell.model.sharedModel.source"
        return self.page.evaluate(f"window.jupyterapp.shell.currentWidget.content.widgets.map({each})")

    def save(self) -> None:
        self.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")

    def restart_kernel(self) -> None:
        self.page.evaluate("void window.jupyterapp.commands.execute('kernelmenu:restart')")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()


@pytest.fixture(params=["lab", pytest.param("notebook", marks=pytest.mark.slow)])
def notebook(request, server, new_page):
    """The tutorial up to its dashboard, and some cells more."""
    made = nbformat.read(TUTORIAL, as_version=4)
    sources = [cell.source for cell in made.cells]
    end = sources.index("%transfer")
    made.cells = [*made.cells[: end + 1], *(nbformat.v4.new_code_cell(source) for source in MORE.values())]
    places = {f"tutorial {n}": n for n, cell in enumerate(made.cells[:end]) if cell.cell_type == "code"}
    places |= {"dashboard": end} | {name: end + 1 + n for n, name in enumerate(MORE)}
    for cell in made.cells:
        cell.source = re.sub(r"--per-class \d+", FEW, cell.source)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    name = f"{request.param}.ipynb"
    nbformat.write(made, server.folder / name)
    opened = Notebook(new_page(viewport={"width": 1400, "height": 1000}), server, request.param, name, places)
    opened.open()
    yield opened
    opened.server.end_sessions()


@pytest.mark.long
def test_a_session_at_the_notebook(notebook):
    page, board = notebook.page, notebook.page.locator(".nbt-dashboard")
    for name in notebook.places:
        if name.startswith("tutorial"):
            notebook.run_to_end(name)
    notebook.run_to_end("dashboard")

    # A stage is ticked off; the kernel knows, and keys meant for the dashboard do nothing to the notebook.
    page.locator("[role=treeitem][title=stem] .nbt-box").click()
    cells = notebook.cells()
    for focus in ("[role=treeitem][title=stage1]", "button:has-text('Thaw all')", "details > summary"):
        page.locator(f".nbt-dashboard {focus}").first.focus()
        for key in ("a", "b", "x", "d", "d", "ArrowDown", "ArrowUp", "m", "y"):
            page.keyboard.press(key)
    assert notebook.cells() == cells
    page.locator(".nbt-dashboard [role=treeitem]").first.focus()
    page.keyboard.press("Control+s")  # this one is meant for the notebook
    page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty")
    notebook.run_to_end("plan")
    expect(notebook.cell("plan").locator(".jp-OutputArea-output")).to_contain_text("shared parameters learn: stage1, stage2")

    # A run goes on while a cell computes.
    notebook.look_at("dashboard")
    board.get_by_role("button", name="Start").click()
    page.wait_for_function(f"{DRAWN} > 20")
    notebook.run("compute")
    prompt = notebook.cell("compute").locator(".jp-InputPrompt")
    expect(prompt).to_contain_text("*")
    notebook.look_at("dashboard")
    before = page.evaluate(DRAWN)
    page.wait_for_function(f"{DRAWN} > {before}")
    expect(prompt).to_contain_text("*")

    # The page is loaded again: the same view, with all of its curves.
    expect(notebook.cell("compute").locator(".jp-OutputArea-output")).to_have_text("computed")
    notebook.save()
    so_far = page.evaluate(DRAWN)
    notebook.open()
    notebook.look_at("dashboard")
    page.wait_for_function(f"{DRAWN} >= {so_far}")

    # The kernel is restarted: the view says so; the run goes on and is attached again.
    notebook.restart_kernel()
    expect(page.get_by_text("The kernel is not responding.")).to_be_visible()
    notebook.run_to_end("attach")
    attached = notebook.cell("attach").locator(".nbt-dashboard")
    expect(attached.get_by_text("Best: ")).to_be_visible()
    keep_screenshot(page, f"{notebook.kind}-live")
    attached.get_by_role("button", name="Stop").click()
    expect(attached.locator(".nbt-status")).to_have_text("stopped")
    expect(attached.get_by_role("heading", name="Result")).to_be_visible()

    # Beside the live view its report is hidden; it is there when the notebook is opened again without a kernel.
    report = notebook.cell("attach").locator(".nbtransfer-kept")
    expect(report.get_by_role("heading", name="Confusion matrices", include_hidden=True)).to_have_count(1)
    expect(report).to_be_hidden()
    notebook.save()
    notebook.server.end_sessions()
    notebook.open()
    notebook.look_at("attach")
    expect(report.get_by_role("heading", name="Confusion matrices")).to_be_visible()
    expect(notebook.cell("attach").get_by_text("model not found")).to_be_hidden()
    keep_screenshot(page, f"{notebook.kind}-reopened")


def keep_screenshot(page, name):
    """For people to look at, where they ask for it."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png")
