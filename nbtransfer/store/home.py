"""Where runs live: `$NBTRANSFER_HOME`, else `.nbtransfer/` in the working folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nbtransfer.errors import RunError

DEFAULT = ".nbtransfer"


def home() -> Path:
    """The absolute path of the home folder; it need not exist yet."""
    return Path(os.environ.get("NBTRANSFER_HOME") or DEFAULT).expanduser().absolute()


def private_folder(path: Path) -> Path:
    """Create a folder that only its owner may enter (mode 0700), with all folders above it."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot create {path} ({error.strerror}); set NBTRANSFER_HOME to a folder you may write to") from error
    _check_owner(home())
    return path


def _check_owner(folder: Path) -> None:
    """Refuse a folder that others own or may write to: its contents decide what a worker does."""
    if not folder.exists() or not hasattr(os, "getuid"):
        return
    status = folder.stat()
    if status.st_uid != os.getuid():
        raise RunError(f"{folder} belongs to another user; set NBTRANSFER_HOME to a folder of your own")
    if status.st_mode & stat.S_IWOTH:
        raise RunError(f"{folder} is writable by everyone; run chmod o-w on it, or set NBTRANSFER_HOME")
