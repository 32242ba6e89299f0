"""Work that can be suspended.

It yields events, and `SAFE_POINT` where it may be left for good because somebody waits: everything that is needed to go on
from there is in the run's context.
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
"""Yields events and safe points, and returns something in the end."""
