"""Run every benchmark and keep what it printed, as JSON, in benchmarks/results/."""

from __future__ import annotations

import json
import time
from pathlib import Path

from benchmarks import explaining, kernel, latency, loop, memory, probe, sharing, speed, store, ui

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    RESULTS.mkdir(exist_ok=True)
    for module in (explaining, kernel, latency, loop, memory, probe, sharing, store, ui, speed):
        name = module.__name__.rsplit(".", 1)[-1]
        print(f"\n{name}: {module.__doc__.splitlines()[0]}")
        figures = module.measure()
        for what, value in figures.items():
            print(f"  {what:80} {value:10.3f}")
        (RESULTS / f"{name}.json").write_text(json.dumps({"time": time.time(), "figures": figures}, indent=1))


if __name__ == "__main__":
    main()
