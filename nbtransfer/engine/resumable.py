"""Work that can be suspended.

It yields events, and `SAFE_POINT` where it may be abandoned to handle a command: the run's context then has everything that
is needed to continue.
"""

from __future__ import annotations

import enum
from collections.abc import Generator
from typing import TypeVar

from nbtransfer.core import events as ev


class SafePoint(enum.Enum):
    """The type of `SAFE_POINT`."""

    SAFE_POINT = "safe point"


SAFE_POINT = SafePoint.SAFE_POINT
T = TypeVar("T")
Resumable = Generator[ev.Event | SafePoint, None, T]
"""Yields events and safe points, and returns a result."""
