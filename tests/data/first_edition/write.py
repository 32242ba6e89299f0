"""Write the run folders, caches and export in this folder. Run it with the version whose formats they are to hold.

python tests/data/first_edition/write.py FOLDER
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (40, 190, 60), "red": (210, 50, 40)}
LEFT_OUT = ("reserve", "heartbeat", "log.txt", "lock", "control")
ROOT, HOST = "@ROOT@", "host"
"""Stand for the folder that holds `images/`, wherever a test puts it, and for the machine."""


def main(folder: Path) -> None:
    os.environ |= {
        "NBTRANSFER_HOME": str(folder / "home"), "XDG_STATE_HOME": str(folder / "state"), "NBTRANSFER_WARM": "0",
    }  # fmt: skip
    import nbtransfer as nt

    print(nt.__file__)  # noqa: T201 - whose formats these are
    task = nt.Task.from_folder(pictures(folder / "images"), holdout=0.25, test=0.25)
    plan = nt.FreezePlan.all().thaw("stem")  # a few kilobytes of weights
    settings = {
        "task": task, "backbone": "efficientnet_lite0", "freeze": plan, "batch_size": 4, "image_size": 32, "device": "cpu",
        "precision": "fp32", "threads": 1,
    }  # fmt: skip
    finished = nt.start(nt.Recipe(**settings, strategy="lp_ft", epochs=3, cache="on", title="finished"))
    assert finished.wait().status == "finished"
    assert nt.repeat(finished).wait().status == "finished"
    assert nt.start(nt.Recipe(**settings, on_bad_image="fail", title="failed")).wait().status == "failed"
    stopped(nt, nt.Recipe(**settings, strategy="ft", epochs=1000, title="stopped"))
    left(nt, nt.Recipe(**settings, strategy="ft", epochs=1000, title="left"))
    killed(nt, nt.Recipe(**settings, strategy="ft", epochs=1000, checkpoint_every=1, title="killed"))
    with_code(nt, {**settings, "strategy": "ft", "epochs": 1, "title": "code"})
    exported(nt, {**settings, "freeze": nt.FreezePlan.all(), "image_size": 40}, folder / "export")
    for run in nt.runs():
        tidy(run.paths, folder)
    for name in ("state", "home/scans"):
        shutil.rmtree(folder / name, ignore_errors=True)


def pictures(root: Path) -> Path:
    """Eight pictures of each colour, and one that breaks off."""
    for offset, (name, colour) in enumerate(COLOURS.items()):
        (root / name).mkdir(parents=True)
        for number in range(8):
            noise = np.random.default_rng(100 * offset + number).integers(-30, 30, (16, 16, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    broken = root / "red" / "7.png"
    broken.write_bytes(broken.read_bytes()[:200])
    return root


def stopped(nt, recipe) -> None:
    """Paused, changed in every way, refused a change, and stopped."""
    run = nt.start(recipe)
    until(run, 1)
    run.pause()
    run.resume()
    run.set_lr(0.002)
    run.freeze("stem")
    run.thaw("stem", lr=0.5)
    run.checkpoint()
    until(run, len(run.state.history) + 1)
    run.set_epochs(len(run.state.history) + 500)
    try:
        run.set_epochs(1)
    except nt.NbTransferError as error:
        print(error)  # noqa: T201
    run.stop()
    assert run.wait().status == "stopped"


def left(nt, recipe) -> None:
    """Paused for so long that the worker has left."""
    os.environ["NBTRANSFER_PAUSE_SECONDS"] = "0"
    run = nt.start(recipe)
    del os.environ["NBTRANSFER_PAUSE_SECONDS"]
    until(run, 1)
    run.pause()
    while not (run.state.waits and run.state.waits.left and ended(run)):
        time.sleep(0.05)


def killed(nt, recipe) -> None:
    """Its newest checkpoint is in the middle of an epoch, and it has no last word."""
    run = nt.start(recipe)
    until(run, 2)
    while not newest(run.paths)["progress"]["batch"]:
        time.sleep(0.01)
    os.kill(run.state.pid, signal.SIGKILL)
    assert run.wait().status == "lost"
    while not ended(run):
        time.sleep(0.05)
    assert newest(run.paths)["progress"]["batch"]


def newest(paths) -> dict:
    """Facts of the newest checkpoint."""
    return json.loads((max(paths.checkpoints.glob("step-*")) / "state.json").read_text(encoding="utf-8"))


def with_code(nt, settings) -> None:
    nt.code("mine", "from torch import nn\n\n\ndef head(features, classes):\n    return nn.Linear(features, classes)\n")
    run = nt.start(nt.Recipe(**settings, head="mine.head"))
    assert run.wait().status == "finished", run.log()


def exported(nt, settings, folder: Path) -> None:
    """Of the smallest architecture there is: 400 kB. All its weights are in the run's folder as well, so that is not kept."""
    run = nt.start(
        nt.Recipe(**{**settings, "backbone": "timm/test_efficientnet", "weights": None, "strategy": "lp", "epochs": 1})
    )
    assert run.wait().status == "finished", run.log()
    run.export(folder)
    shutil.rmtree(run.paths.root)
    nt.clear_caches(nt.caches()[0].key)


def ended(run) -> bool:
    return bool(list(run.paths.attempts.glob("*.json")))


def until(run, epochs: int) -> None:
    while len(run.state.history) < epochs:
        assert not run.state.over, run.log()
        time.sleep(0.05)


def tidy(paths, folder: Path) -> None:
    """Nothing of the machine it was made on, and nothing that a reader does without."""
    kept = set()
    if not list(paths.result.iterdir()):  # it may go on
        last = max(paths.checkpoints.glob("step-*"), default=None)
        kept = {last.name, *newest(paths)["best"].values()} if last else set()
    checkpoints = [path for path in paths.checkpoints.iterdir() if path.name not in kept]
    for path in [*checkpoints, *(paths.root / name for name in LEFT_OUT)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    edited(paths.spec, lambda text: text.replace(str(folder), ROOT))
    for path in [paths.events, *paths.attempts.glob("*.json")]:
        edited(path, lambda text: re.sub(rf'("host": ?)"{re.escape(socket.gethostname())}"', rf'\1"{HOST}"', text))


def edited(path: Path, change) -> None:
    path.write_text(change(path.read_text(encoding="ascii")), encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
