"""Where another interpreter looks for modules: in the same places as this one, and Python's own come first.

A folder with a notebook may hold a `queue.py` or a `random.py`. A notebook has loaded Python's own modules before its folder is
looked into; a new interpreter with the same search path would take the user's.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from pathlib import Path


def python_path() -> str:
    """PYTHONPATH for a child: Python's own modules, this package, installed packages, then all other places of this process.

    Custom code finds the modules beside the notebook, unless an installed one has the same name: a `torch.py` there would end
    every worker.
    """
    # Absolute paths: a worker runs in another folder. An empty entry is the folder of a notebook.
    entries = dict.fromkeys(os.path.abspath(entry or ".") for entry in sys.path)  # noqa: PTH100 - keeps links
    own = str(Path(__file__).absolute().parents[2])
    ranks = {**dict.fromkeys(_installed(), 2), own: 1, **dict.fromkeys(_standard(), 0)}
    return os.pathsep.join(sorted(entries, key=lambda entry: ranks.get(entry, 3)))


def _standard() -> set[str]:
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    zipped = {entry for entry in sys.path if entry.endswith(".zip") and Path(entry).name.startswith("python")}
    return folders | zipped | {str(Path(folder) / "lib-dynload") for folder in folders}


def _installed() -> set[str]:
    found = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    return found | set(site.getsitepackages()) | {site.getusersitepackages()}
