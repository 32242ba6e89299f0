"""Paths in messages."""

from pathlib import Path


def short_path(path: Path) -> str:
    """The path relative to the working folder, or to `~`, if it is inside: messages get published."""
    path = path.absolute()
    for base, prefix in ((Path.cwd(), ""), (Path.home(), "~/")):
        if path.is_relative_to(base) and base != path:
            return prefix + path.relative_to(base).as_posix()
    return str(path)
