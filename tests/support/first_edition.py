"""The run folders, cache and export that the first edition wrote, laid out as they were."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from nbtransfer.store.paths import RunPaths

DATA = Path(__file__).parents[1] / "data" / "first_edition"
ROOT = "@ROOT@"


def lay_out(folder: Path, home: Path) -> dict[str, RunPaths]:
    """Copy images and export into `folder`, runs and cache into `home`; the runs by title.

    Git keeps neither empty folders nor times of files, and nobody knows where the images will lie.
    """
    for name in ("images", "export"):
        shutil.copytree(DATA / name, folder / name)
    shutil.copytree(DATA / "home", home)
    runs = [RunPaths(path) for path in sorted((home / "runs").iterdir())]
    for paths in runs:
        for missing in paths.folders:
            missing.mkdir(exist_ok=True)
        paths.lock.touch()
        paths.spec.write_text(paths.spec.read_text().replace(ROOT, str(folder)))
    for line in runs[0].manifest.read_text().splitlines():
        source, *_, mtime_ns = json.loads(line)
        os.utime(folder / "images" / source, ns=(mtime_ns, mtime_ns))
    return {title(paths): paths for paths in runs}


def title(paths: RunPaths) -> str:
    spec = json.loads(paths.spec.read_text())
    return "repeated" if spec["repeat"]["run"] else spec["recipe"]["title"]
