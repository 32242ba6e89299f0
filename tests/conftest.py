"""Small real things that tests share."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

# Before torch is loaded: threads that spin while they wait make tests and the workers they start a hundred times slower
# on a machine with few cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Every test has another home folder, so a worker kept ready for the next run would never fit it.
os.environ["NBTRANSFER_WARM"] = "0"

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from nbtransfer.jobs.run import Run
from nbtransfer.store.lock import is_held
from nbtransfer.store.paths import RunPaths

# Examples are few enough to keep the suite quick; deadlines would time a shared machine, not the code.
settings.register_profile("suite", max_examples=60, deadline=None, derandomize=True)
settings.load_profile("suite")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the slow tests too")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow; run with --slow"))


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch) -> Iterator[Path]:
    """Every test has a home folder of its own."""
    folder = tmp_path_factory.mktemp("home") / "nbtransfer"
    monkeypatch.setenv("NBTRANSFER_HOME", str(folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder.parent / "state"))  # where trust is kept
    yield folder
    reap(folder)
    shutil.rmtree(folder.parent, ignore_errors=True)  # with checkpoints it would be 20 GB for all tests


def reap(home: Path) -> None:
    """End workers that a failed test left behind: they outlive everything else, on purpose."""
    for paths in map(RunPaths, (home / "runs").glob("*-*-*")):
        state = Run(paths).state
        if state.pid is not None and is_held(paths.lock):
            os.kill(state.pid, signal.SIGKILL)


def picture(colour: tuple[int, int, int], seed: int, size: int = 40) -> Image.Image:
    """A noisy patch of one colour; the same seed gives the same picture."""
    noise = np.random.default_rng(seed).integers(-30, 30, (size, size, 3))
    return Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))


COLOURS = {"blue": (40, 60, 200), "green": (40, 190, 60), "red": (210, 50, 40)}


@pytest.fixture
def images(tmp_path) -> Path:
    """`images/<colour>/<n>.png`: three classes of twelve pictures that a model learns within seconds."""
    root = tmp_path / "images"
    for offset, (name, colour) in enumerate(COLOURS.items()):
        (root / name).mkdir(parents=True)
        for number in range(12):
            picture(colour, 100 * offset + number).save(root / name / f"{number:02}.png")
    return root


@pytest.fixture
def kernel():
    """A real notebook kernel: its manager and a client of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import jupyter_client
    manager = jupyter_client.KernelManager(kernel_name="python3")
    manager.kernel_spec.argv[0] = sys.executable
    manager.start_kernel(cwd=str(Path(__file__).parents[1]), env=dict(os.environ))
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield manager, client
    client.stop_channels()
    if manager.has_kernel:
        manager.shutdown_kernel(now=True)
