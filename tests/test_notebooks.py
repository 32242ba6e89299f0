"""Tutorials as they are stored: run from top to bottom, with nothing in them that needs a kernel or names a machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FIRST, *OTHERS = NOTEBOOKS


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def test_these_are_the_tutorials():
    assert [path.stem for path in NOTEBOOKS] == ["01_first_transfer", "02_founding_recipe"]


def test_it_was_run_from_top_to_bottom_without_an_error(notebook):
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert not [output for cell in code for output in cell.outputs if output.get("name") == "stderr"]


def test_it_stores_no_widget(notebook):
    text = json.dumps(notebook)
    assert "widget-view" not in text
    assert "widgets" not in notebook.metadata


def test_it_names_no_folder_of_the_machine_it_was_run_on(notebook):
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    text = re.sub(r"[A-Za-z0-9+/]{200,}", "", json.dumps(outputs))  # pictures in base64 may hold any letters
    assert not re.search(r"(?<![\\w.:/])/(tmp|home|root|usr|opt|Users|work)/", text)


def test_every_link_leads_somewhere(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for link in re.findall(r"\]\(([^)#:]+)\)", cell.source):
                assert (NOTEBOOKS[0].parent / link).exists(), link


@pytest.mark.long
@pytest.mark.parametrize(
    "path", [FIRST, *(pytest.param(path, marks=pytest.mark.slow) for path in OTHERS)], ids=lambda path: path.stem
)
def test_it_prints_what_it_stores(path):
    """In a kernel of its own, cell by cell."""
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider", str(path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
