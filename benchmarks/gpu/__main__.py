"""Check and measure everything on a GPU, in one call of at most nine minutes, without a network.

    python -m benchmarks.gpu                      everything; writes gpu.json and gpu.md to benchmarks/results/
    python -m benchmarks.gpu --out FOLDER         … to another folder
    python -m benchmarks.gpu --seconds 300        in less time: what matters less is left out
    python -m benchmarks.gpu --only rate cached   steps whose names contain one of the words
    python -m benchmarks.gpu --dry                a rehearsal on the CPU with tiny sizes; its figures mean nothing
    python -m benchmarks.gpu --table FILE         the tables of a file written before

Each step prints `ok`, `FAILED` or `left out`, and why; no step stops the others, and what is known is on the disk after each.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu import tables
from benchmarks.gpu.plan import steps
from benchmarks.gpu.scene import DRY, FULL, Scene
from benchmarks.gpu.steps import Result, take

SECONDS = 540.0
RESULTS = Path(__file__).parents[1] / "results"


def main(words: Sequence[str] | None = None) -> int:
    given = arguments().parse_args(words)
    if given.table:
        print(tables.markdown(json.loads(given.table.read_text(encoding="utf-8"))), end="")
        return 0
    if not given.dry and not torch.cuda.is_available():
        print("There is no GPU here that torch can use, so nothing was measured; `--dry` rehearses on the CPU.")
        return 0
    results = measure(given.out, given.seconds, given.only, dry=given.dry)
    return int(any(result.outcome == "FAILED" for result in results))


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--only", nargs="*", default=[""])
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--table", type=Path)
    return parser


def measure(out: Path, seconds: float, only: Sequence[str], *, dry: bool) -> list[Result]:
    """Take all steps whose names contain one of the words, as far as the time goes; writes both files."""
    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    faulthandler.dump_traceback_later(seconds + 20, exit=not dry)  # what hangs is shown, and what is known is on the disk
    warnings.filterwarnings("ignore", message=".*deterministic.*")
    before = {name: os.environ.get(name) for name in ("NBTRANSFER_HOME", "NBTRANSFER_WARM")}
    os.environ["NBTRANSFER_WARM"] = "0"  # no worker is kept ready beside what is measured
    try:
        with tempfile.TemporaryDirectory() as folder:
            scene = Scene(torch.device("cpu" if dry else "cuda"), DRY if dry else FULL, Path(folder))
            chosen = [step for step in steps(scene.sizes) if any(word in step.name for word in only)]
            facts = about(scene)
            print(", ".join(f"{name} {value}" for name, value in facts.items()), flush=True)
            results = take(chosen, scene, seconds - (time.monotonic() - began), out / "gpu.json", facts)
    finally:
        faulthandler.cancel_dump_traceback_later()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    text = tables.markdown(json.loads((out / "gpu.json").read_text(encoding="utf-8")))
    (out / "gpu.md").write_text(text, encoding="utf-8")
    print(f"\n{text}", end="", flush=True)
    return results


def about(scene: Scene) -> Mapping[str, Any]:
    """What was measured on, and with what."""
    facts: dict[str, Any] = {
        "device": torch.cuda.get_device_name(scene.device) if scene.gpu else f"a rehearsal on the CPU, {platform.machine()}",
        "torch": torch.__version__, "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(),
        "python": platform.python_version(), "cores": os.cpu_count(), "threads": torch.get_num_threads(),
        "date": time.strftime("%Y-%m-%d"), "commit": commit(),
    }  # fmt: skip
    if scene.gpu:
        facts["memory"] = torch.cuda.mem_get_info(scene.device)[1]
    return facts


def commit() -> str:
    here = Path(__file__).parent
    try:
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
