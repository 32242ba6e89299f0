"""The report and the progress display, from a real run."""

from __future__ import annotations

import io
import re

import pytest

import nbtransfer as nt
from nbtransfer.comparison.figures import svg
from nbtransfer.ui.curves import curves
from nbtransfer.ui.progress import watch
from nbtransfer.ui.report import Report
from tests.support.runs import carried_out

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def run(images):
    """A finished run whose task has a hostile class name."""
    (images / "red").rename(images / HOSTILE)
    task = nt.Task.from_folder(images, holdout=0.25, test=0.2)
    plan = nt.FreezePlan.all().thaw("conv5")
    recipe = nt.Recipe(
        task=task, backbone="shufflenet_v2_x0_5", weights=None, strategy="ft", freeze=plan, epochs=2, batch_size=8,
        image_size=40, device="cpu", threads=1,
    )  # fmt: skip
    return carried_out(recipe)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_report_is_one_file_with_everything_and_no_markup_from_names(run, tmp_path):
    report = Report(nt.Task.from_folder(run.recipe.task.root, holdout=0.25, test=0.2), {"<b>ft</b>": run})
    html = report.write(tmp_path / "report.html").read_text()
    for title in ("Results", "Examples", "Learning curves", "Confusion matrices", "Worst mistakes", "Receipt"):
        assert f"<h2>{title}" in html
    assert "<b>" not in html
    assert "<img src=x" not in html
    assert "&lt;img src=x" in html
    assert not re.search(r"""(src|href)=["']?(https?:|//)""", html)
    assert html.count("data:image/jpeg;base64,") >= 18
    assert "did not change while frozen" in html
    header, _, row = report.table().splitlines()
    assert header.split("  ")[0] == "strategy"
    assert row.startswith("<b>ft</b>")


def test_figures_are_the_same_for_the_same_run(run):
    drawn = [svg(curves({"ft": run.history()})) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert drawn[0].startswith("<svg")


def test_progress_in_a_pipe_is_one_line_an_epoch(run):
    pipe = io.StringIO()
    assert watch(run, "ft", stream=pipe).status == "finished"
    lines = pipe.getvalue().splitlines()
    assert [line.split(" loss ")[0] for line in lines] == ["ft: ft epoch 1/2", "ft: ft epoch 2/2"]


def test_progress_on_a_terminal_is_a_bar(run):
    terminal = Terminal()
    watch(run, "ft", stream=terminal)
    assert "ft 100%" in terminal.getvalue()
    assert "best " in terminal.getvalue()
