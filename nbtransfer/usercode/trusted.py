"""Which custom code may run under this account: a list of digests, stored outside all run folders.

Trust belongs to a text, not to a place: copying a run folder copies no trust, and an edited file is another text.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from nbtransfer.core.code import Code
from nbtransfer.core.text.paths import short_path
from nbtransfer.errors import CodeError


def file() -> Path:
    """One sha256 a line: `$XDG_STATE_HOME/nbtransfer/trusted`, else below `~/.local/state`."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "nbtransfer" / "trusted"


def is_trusted(code: Code) -> bool:
    """Whether this text may run."""
    try:
        return code.sha256 in file().read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return False


def trust(codes: Iterable[Code]) -> None:
    """Allow these texts to run here, in this process and in workers; raises CodeError if one was edited."""
    for code in codes:
        check_unaltered(code)
        if not is_trusted(code):
            _add(code.sha256)


def require(codes: Iterable[Code]) -> None:
    """Raise CodeError unless all of these are unedited and trusted."""
    for code in codes:
        check_unaltered(code)
        if not is_trusted(code):
            raise CodeError(
                f"the code {code.name!r} (sha256 {code.sha256[:8]}) was not written here, so it does not run; read it, and if "
                "you trust it call run.trust_code(), load_model(folder, trust=True) or add_backbone(folder, trust=True)"
            )


def check_unaltered(code: Code) -> None:
    """Raise CodeError if the text was edited."""
    if not code.unaltered:
        raise CodeError(
            f"the code {code.name!r} was edited or removed after the run was made, so it does not run; put it back, or start a "
            "new run with the new code"
        )


def _add(sha256: str) -> None:
    path = file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Several processes may append at once: one short write at the end of a file is atomic.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, f"{sha256}\n".encode("ascii"))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise CodeError(
            f"the list of trusted code {short_path(path)} cannot be written ({error.strerror}); "
            "set XDG_STATE_HOME to your own folder"
        ) from error
