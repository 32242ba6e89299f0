"""An IPython shell as a notebook has one."""

from __future__ import annotations

from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


def new_shell(folder: Path) -> InteractiveShell:
    """A shell that keeps what it writes in a folder of its own."""
    quiet = Config()
    quiet.HistoryManager.enabled = False  # no thread and no file of IPython's own
    return InteractiveShell(config=quiet, ipython_dir=str(folder / "ipython"))
