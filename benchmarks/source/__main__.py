"""Measure what is missing, then write table and plot."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from benchmarks.source import report
from benchmarks.source.runs import Results, measure

ROOT = Path(__file__).parents[2]
PLOT = ROOT / "docs" / "images" / "source-tasks.svg"


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    file = ROOT / "benchmarks" / "results" / "source.json"
    file.parent.mkdir(exist_ok=True)
    results = Results(file)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NBTRANSFER_HOME"] = str(Path(folder) / "home")
        measure(results, Path(folder))
    report.plot(results.cells, PLOT)
    print(*(f"{name}: {found}" for name, found in results.sources.items()), sep="\n")
    print(f"\n{report.table(results.cells)}\n\n{report.gains(results.cells)}")


if __name__ == "__main__":
    main()
