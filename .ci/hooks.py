"""Checks before a commit: `python .ci/hooks.py size|notebooks|message FILE…`. They use the standard library only.

`notebooks` repairs what it finds, and fails so that the repaired file is looked at and added again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LARGEST = 1_000_000
LONGEST = 72
WIDGET = "application/vnd.jupyter.widget-view+json"


def size(path: Path) -> Iterator[str]:
    """Files that are too large for the history of a repository."""
    found = path.stat().st_size
    if found > LARGEST:
        yield f"{found / 1000:.0f} kB, at most {LARGEST // 1000}"


def notebooks(path: Path) -> Iterator[str]:
    """Widget state and widget views: a stored notebook has no kernel to show them."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    if strip(notebook):
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        yield "widget state was removed; add the file again"


def strip(notebook: dict[str, Any]) -> bool:
    """Remove the state and views of widgets from a notebook; whether there were any."""
    found = notebook["metadata"].pop("widgets", None) is not None
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            found |= output.get("data", {}).pop(WIDGET, None) is not None
    return found


def message(path: Path) -> Iterator[str]:
    """Subjects that tools would cut off."""
    subject = path.read_text(encoding="utf-8").partition("\n")[0]
    if len(subject) > LONGEST:
        yield f"the subject has {len(subject)} characters, at most {LONGEST}"


CHECKS: dict[str, Callable[[Path], Iterator[str]]] = {"size": size, "notebooks": notebooks, "message": message}


def main(check: str, *files: str) -> int:
    """Print every problem; the number of them."""
    problems = [f"{file}: {problem}" for file in files for problem in CHECKS[check](Path(file))]
    print(*problems, sep="\n", end="\n" if problems else "")
    return min(len(problems), 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
