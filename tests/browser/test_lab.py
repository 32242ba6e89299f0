"""JupyterLab 4 and Notebook 7, as people use them: real servers, kernels, workers and a real browser."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import nbformat
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE, Server
from tests.conftest import COLOURS, picture

expect.set_options(timeout=PATIENCE)

CELLS = {
    "open": "%load_ext nbtransfer\n%transfer data images --holdout 0.25\nd = %transfer\nd",
    "choose": (
        "d.draft.choose(backbone='shufflenet_v2_x0_5', weights=None, strategy='ft', epochs=5000, image_size=40,"
        " batch_size=8, threads=1, device='cpu')"
    ),
    "plan": "print(d.draft.plan.summary(d.draft.card))",
    "compute": "import time\nfor _ in range(48):\n    time.sleep(0.25)\nprint('computed')",
    "attach": "%load_ext nbtransfer\n%transfer attach",
    "report": (
        "import nbtransfer as nt\nrun = nt.runs()[0]\nprint(run.wait(60).status)\n"
        "nt.dashboard(run=run, report_after=0.5)"
    ),
}  # fmt: skip


DRAWN = "(document.querySelector('.nbt-dashboard path.nbt-val')?.getAttribute('d').length ?? 0)"
"""How much of the validation curve there is."""


@dataclass
class Notebook:
    """A notebook open in a browser."""

    page: Page
    server: Server
    kind: str
    name: str

    def open(self) -> None:
        self.page.goto(self.server.url(self.kind, self.name))
        self.page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        self.page.wait_for_function("window.jupyterapp !== undefined")
        self.page.wait_for_function("window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'")

    def cell(self, name: str):
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(list(CELLS).index(name))

    def run(self, name: str) -> None:
        """Run a cell; returns at once."""
        run = """(number) => {
          window.jupyterapp.shell.currentWidget.content.activeCellIndex = number;
          void window.jupyterapp.commands.execute("notebook:run-cell");
        }"""
        self.page.evaluate(run, list(CELLS).index(name))

    def run_to_end(self, name: str) -> None:
        self.run(name)
        expect(self.cell(name).locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]"))

    def cells(self) -> list[str]:
        """What all cells hold."""
        each = "(cell) => cell.model.type + cell.model.sharedModel.source"
        return self.page.evaluate(f"window.jupyterapp.shell.currentWidget.content.widgets.map({each})")

    def save(self) -> None:
        self.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")

    def restart_kernel(self) -> None:
        self.page.evaluate("void window.jupyterapp.commands.execute('kernelmenu:restart')")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()

    def look_at(self, name: str) -> None:
        """Bring a cell into view: what is out of view may not be in the page at all."""
        self.page.evaluate(
            "(number) => window.jupyterapp.shell.currentWidget.content.scrollToItem(number, 'start')", list(CELLS).index(name)
        )


@pytest.fixture(params=["lab", "notebook"])
def notebook(request, server, new_page):
    for offset, (name, colour) in enumerate(COLOURS.items()):
        folder = server.folder / "images" / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(12):
            picture(colour, 100 * offset + number).save(folder / f"{number:02}.png")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    made = nbformat.v4.new_notebook(metadata=kernel, cells=[nbformat.v4.new_code_cell(source) for source in CELLS.values()])
    name = f"{request.param}.ipynb"
    nbformat.write(made, server.folder / name)
    opened = Notebook(new_page(viewport={"width": 1400, "height": 1000}), server, request.param, name)
    opened.open()
    yield opened
    opened.server.end_sessions()


def test_a_session_at_the_notebook(notebook, tmp_path):
    page, board = notebook.page, notebook.page.locator(".nbt-dashboard")
    notebook.run_to_end("open")
    notebook.run_to_end("choose")
    expect(page.locator("[role=treeitem][title=conv5]").first).to_be_visible()

    # A stage is ticked off; the kernel knows, and keys meant for the tree do nothing to the notebook.
    cells = notebook.cells()
    page.locator("[role=treeitem][title=stem] .nbt-box").click()
    for focus in ("[role=treeitem][title=stem]", "button:has-text('Thaw all')", "details > summary"):
        page.locator(f".nbt-dashboard {focus}").first.focus()
        for key in ("a", "b", "x", "d", "d", "ArrowDown", "ArrowUp", "m", "y"):
            page.keyboard.press(key)
    assert notebook.cells() == cells
    notebook.run_to_end("plan")
    expect(notebook.cell("plan").locator(".jp-OutputArea-output")).to_contain_text("stage2, stage3, stage4, conv5")

    # A run goes on while a cell computes.
    notebook.look_at("open")
    board.get_by_role("button", name="Start").click()
    page.wait_for_function(f"{DRAWN} > 20")
    notebook.run("compute")
    expect(notebook.cell("compute").locator(".jp-InputPrompt")).to_contain_text("*")
    notebook.look_at("open")
    before = page.evaluate(DRAWN)
    page.wait_for_function(f"{DRAWN} > {before}")
    expect(notebook.cell("compute").locator(".jp-InputPrompt")).to_contain_text("*")

    # The page is loaded again: the same view, with all of its curves.
    expect(notebook.cell("compute").locator(".jp-OutputArea-output")).to_have_text("computed")
    notebook.save()
    so_far = page.evaluate(DRAWN)
    notebook.open()
    notebook.look_at("open")
    page.wait_for_function(f"{DRAWN} >= {so_far}")

    # The kernel is restarted: the view says so; the run goes on and is attached again.
    notebook.restart_kernel()
    expect(page.get_by_text("No word from the kernel.")).to_be_visible(timeout=PATIENCE)
    notebook.run_to_end("attach")
    attached = notebook.cell("attach").locator(".nbt-dashboard")
    expect(attached.locator(".nbt-status")).to_have_text("running")
    attached.get_by_role("button", name="Stop").click()
    expect(attached.locator(".nbt-status")).to_have_text("stopped")
    expect(attached.get_by_role("heading", name="Result")).to_be_visible()
    keep_screenshot(page, notebook.kind)

    # A run that has ended leaves a report, which is there when the notebook is opened again without a kernel.
    notebook.run_to_end("report")
    report = notebook.cell("report").locator(".nbtransfer-report")
    report.wait_for()
    notebook.save()
    notebook.server.end_sessions()
    notebook.open()
    notebook.look_at("report")
    expect(report.get_by_role("heading", name="Confusion matrices")).to_be_visible()
    expect(notebook.cell("report").get_by_text("model not found")).to_have_count(0)


def keep_screenshot(page, kind):
    """For people to look at, where they ask for it."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{kind}.png")
