"""Rules for every child process that waits for work on a pipe: fork server, comparison server."""

from __future__ import annotations

import os
import select
from typing import IO, Any

NICENESS = 5
IDLE_SECONDS = 600.0
"""A child without work for this long exits and frees its memory."""
EXIT_SECONDS = 10.0
"""Grace period between closing a child's pipes and killing it."""


def lower_priority() -> None:
    """Lower our priority to keep the notebook responsive."""
    os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))


def wait_for_input(stream: IO[Any], seconds: float) -> bool:
    """Whether a line or the end of the stream arrived in time. Nothing may be left in the stream's own buffer."""
    return bool(select.select([stream], [], [], seconds)[0])
