"""Paths in messages."""

import re
from pathlib import Path

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_address(text: object) -> bool:
    """Whether this is an address in a network, such as https://…, and no path."""
    return isinstance(text, str) and _ADDRESS.match(text) is not None


def short_path(path: Path) -> str:
    """The path relative to the working folder, or to `~`, if it is inside: messages get published."""
    path = path.absolute()
    for base, prefix in ((Path.cwd(), ""), (Path.home(), "~/")):
        if path.is_relative_to(base) and base != path:
            return prefix + path.relative_to(base).as_posix()
    return str(path)
