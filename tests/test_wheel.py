"""The wheel, as others install it: all files are in it, and the quickstart runs where no checkout is."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nbtransfer"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "NBTRANSFER_WARM": "0", "OMP_WAIT_POLICY": "PASSIVE", "LANG": "C.UTF-8"}
"""Nothing that could lead back to the checkout."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from the checkout, without the network: the build backend is one of the test packages."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, ROOT], check=True, timeout=600)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """The interpreter of a new environment that holds this wheel, and finds what it depends on where the tests find it.

    A `.pth` file adds a folder to the path but not the `.pth` files in it, so an editable install of the checkout stays unseen.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", "--no-compile"]
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", *options, wheel], check=True, timeout=600)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python


def run(python, folder, *arguments):
    """Run the environment's Python in a folder outside the checkout."""
    environment = {**ENVIRONMENT, "HOME": str(folder), "NBTRANSFER_HOME": str(folder / "home")}
    settings = {"cwd": folder, "env": environment, "capture_output": True, "text": True, "timeout": 900}
    done = subprocess.run([python, *arguments], check=False, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def first_block(name):
    return re.search(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)[1]


def test_it_holds_every_file_of_the_package(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    here = {p.relative_to(ROOT).as_posix() for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert here - held == set()
    assert {
        "nbtransfer/core/catalog.jsonl",
        "nbtransfer/core/outlines.jsonl",
        "nbtransfer/py.typed",
        "nbtransfer/ui/static/nbtransfer.css",
    } <= held
    assert not [name for name in held if name.startswith(("tests/", "benchmarks/", "docs/"))]


LOOK = """
import sys, pathlib, nbtransfer as nt, nbtransfer.ui.dashboard
print(nt.__file__)
print(*sys.path, sep=";")
print(len(nt.backbones()), len(list(pathlib.Path(nbtransfer.ui.dashboard.__file__).parent.rglob("static/**/*.js"))))
"""


def test_what_is_imported_is_the_wheels_own(python, tmp_path):
    file, path, counts = run(python, tmp_path, "-c", LOOK).splitlines()
    assert Path(file).is_relative_to(python.parents[1])
    assert ROOT not in map(Path, path.split(";"))
    cards, modules = map(int, counts.split())
    assert cards >= 80
    assert modules == len(list((PACKAGE / "ui").rglob("static/**/*.js")))


@pytest.mark.parametrize("name", ["README.md", "docs/tutorials/quickstart.md"])
def test_the_first_block_runs_on_exactly_that_install(python, tmp_path, name):
    """The extra it names is what the dependencies come from; the worker is one of the wheel, too."""
    block = first_block(name)
    lines = ["print(run.wait().status)", "import nbtransfer.jobs.run as module; print(module.__file__)"]
    (tmp_path / "first.py").write_text("\n".join([block, *lines]), encoding="utf-8")
    *_, status, file = run(python, tmp_path, "first.py").splitlines()
    assert status == "finished"
    assert Path(file).is_relative_to(python.parents[1])


def test_the_command_is_installed(python, tmp_path):
    assert "nbtransfer" in run(python, tmp_path, python.parent / "nbtransfer", "help")
