"""Run the tutorials anew and store what they print, with `python notebooks/execute.py [NAME …]`.

A live widget is stored as the HTML it leaves, never as a widget or its state: a stored notebook has no kernel behind it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
WIDGET = "application/vnd.jupyter.widget-view+json"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}


def execute(path: Path) -> None:
    """Run one notebook from top to bottom and write it back."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as home:
        client = NotebookClient(notebook, timeout=3600, store_widget_state=False, resources={"metadata": {"path": str(HERE)}})
        client.execute(env={**os.environ, "NBTRANSFER_HOME": home})
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02}"
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = tidy(cell.outputs)
    notebook.metadata = nbformat.from_dict({**KERNEL, "language_info": {"name": "python"}})
    nbformat.write(notebook, path)


def tidy(outputs: list) -> list:
    """Streams in one piece, of a line that was written over only what it said last; no widgets, no picture twice."""
    kept = []
    for output in outputs:
        data = output.get("data", {})
        data.pop(WIDGET, None)
        if "image/jpeg" in data:
            data.pop("image/png", None)
        if kept and output.output_type == kept[-1].output_type == "stream" and output.name == kept[-1].name:
            kept[-1].text += output.text
        else:
            kept.append(output)
    for output in kept:
        if output.output_type == "stream":
            output.text = "\n".join(line.rpartition("\r")[2] for line in output.text.split("\n"))
    return kept


if __name__ == "__main__":
    for path in [HERE / name for name in sys.argv[1:]] or sorted(HERE.glob("*.ipynb")):
        execute(path)
