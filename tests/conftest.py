"""Small real things that tests share."""

from __future__ import annotations

import functools
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

# Before torch is loaded: threads that spin while they wait make tests and the workers they start a hundred times slower
# on a machine with few cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # there is a test process for each core

import pytest
from hypothesis import settings

import nbtransfer as nt
from nbtransfer.pretrained import registry
from tests.support.pictures import folder_of_pictures
from tests.support.processes import frameworks_loaded_once, reap
from tests.support.runs import carried_out

# Examples are few enough to keep the suite quick; deadlines would time a shared machine, not the code.
settings.register_profile("suite", max_examples=60, deadline=None, derandomize=True)
settings.load_profile("suite")


def pytest_collection_modifyitems(items):
    """What takes minutes begins first: at the end the other process would have nothing left to do."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(autouse=True, scope="session")
def warm_workers() -> Iterator[None]:
    with frameworks_loaded_once():
        yield


@pytest.fixture(scope="session", autouse=True)
def cards_are_made_once() -> Iterator[None]:
    """Every test has a home of its own, where no card is kept yet, and each takes a proof."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "make_card", functools.cache(registry.make_card))
        yield


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch) -> Iterator[Path]:
    """Every test has a home folder of its own."""
    folder = tmp_path_factory.mktemp("home") / "nbtransfer"
    monkeypatch.setenv("NBTRANSFER_HOME", str(folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder.parent / "state"))  # where trust is kept
    yield folder
    reap(folder)
    shutil.rmtree(folder.parent, ignore_errors=True)  # with checkpoints it would be 20 GB for all tests


@pytest.fixture
def images(tmp_path) -> Path:
    """`images/<colour>/<n>.png`: three classes of twelve pictures."""
    return folder_of_pictures(tmp_path / "images")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A probe, then fine-tuning of the last stage, of three colours at 40 pixels; carried out in this process."""
    task = nt.Task.from_folder(folder_of_pictures(tmp_path_factory.mktemp("finished") / "images"), holdout=0.25, test=0.25)
    recipe = nt.Recipe(
        task=task, backbone="shufflenet_v2_x0_5", weights=None, strategy="lp_ft", freeze=nt.FreezePlan.all().thaw("conv5"),
        epochs=4, batch_size=8, image_size=40, device="cpu", precision="fp32", threads=1,
        probe="sgd",  # a head that is solved for leaves nothing to learn here
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBTRANSFER_HOME", str(tmp_path_factory.mktemp("home") / "nbtransfer"))
        return carried_out(recipe)


@pytest.fixture
def lp_ft(finished, home):
    """A finished run in the home folder of the test. Its images are those of all tests."""
    home.mkdir(parents=True, mode=0o700, exist_ok=True)
    shutil.copytree(finished.paths.root, home / "runs" / finished.id)
    return nt.attach(finished.id)


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
