"""Memory of a notebook's kernel in MB, beyond what an idle kernel takes: with everything loaded, and a dashboard on a run."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import jupyter_client
import numpy as np
from PIL import Image

CELLS = {
    "nbtransfer loaded": "%load_ext nbtransfer\nimport nbtransfer as nt",
    "a run started": "%transfer data images\n"
    "run = %transfer start --backbone shufflenet_v2_x0_5 --weights none --image-size 32 --epochs 2",
    "a dashboard on it, to its end (goal 60)": "board = nt.dashboard(run=run)\nboard\nrun.wait()\nboard.close()",
}


def measure() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        draw_images(Path(folder) / "images")
        manager = jupyter_client.KernelManager(kernel_name="python3")
        manager.kernel_spec.argv[0] = sys.executable
        manager.start_kernel(cwd=folder, env={**os.environ, "NBTRANSFER_HOME": f"{folder}/home"})
        client = manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=60)
            executed(client, "1 + 1")
            idle, figures = resident(manager), {}
            for name, cell in CELLS.items():
                executed(client, cell)
                figures[name] = resident(manager) - idle
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
        return figures


def draw_images(folder: Path) -> None:
    """Two classes of 40 noisy pictures."""
    for number in range(80):
        path = folder / ("dark" if number % 2 else "light") / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 128, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise + (0 if number % 2 else 127)).save(path)


def executed(client, cell: str) -> None:
    reply = client.execute_interactive(cell, timeout=300, store_history=False, output_hook=lambda _: None)
    assert reply["content"]["status"] == "ok", reply


def resident(manager) -> float:
    """MB of memory the kernel holds, pages it shares with others included."""
    pages = int(Path(f"/proc/{manager.provisioner.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
