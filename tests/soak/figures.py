"""What a soak has come to, as a table."""

from __future__ import annotations

import os
import platform
import statistics
import time
from dataclasses import dataclass, field
from importlib.metadata import version


@dataclass
class Figures:
    runs: int = 0
    parallel: int = 0
    kills: int = 0
    resumes: int = 0
    mismatches: int = 0
    sent: int = 0
    accepted: int = 0
    refused: int = 0
    lost: int = 0
    latencies: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def rows(self):
        waited = statistics.quantiles(self.latencies, n=20)
        yield "workers killed (SIGKILL) at a random moment", f"{self.kills:,}"
        yield "workers that went on from there", f"{self.resumes:,}"
        yield "runs, at most so many at once", f"{self.runs:,}, {self.parallel}"
        yield "runs whose bits differ from those of an uninterrupted or repeated run", f"{self.mismatches:,}"
        yield "commands sent by two controllers at once", f"{self.sent:,}"
        yield "… accepted, refused", f"{self.accepted:,}, {self.refused:,}"
        yield "… lost, or answered twice", f"{self.lost:,}"
        yield "from sending a command to its answer, median and 95 %", f"{_ms(statistics.median(waited))}, {_ms(waited[-1])}"
        yield "a step of training meanwhile, median", _ms(statistics.median(self.steps))
        yield "all of it took", f"{time.monotonic() - self.began:.0f} s"
        yield "machine", machine()

    def table(self):
        """Markdown."""
        lines = ["| what | figure |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in self.rows())]
        return "\n".join(lines) + "\n"


def _ms(seconds):
    return f"{1000 * seconds:.0f} ms"


def machine():
    """What matters of it for the figures; not its name."""
    system = f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores"
    return f"{system}, Python {platform.python_version()}, torch {version('torch')}"
