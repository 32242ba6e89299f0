"""Homes of somebody who may write next to nowhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

AS_NOBODY = """
import encodings.ascii, os, stat, sys  # what is loaded later may lie where nobody else can read
from pathlib import Path
from nbtransfer.errors import RunError
from nbtransfer.store import runs
from tests.support.folders import recipe
place = Path(sys.argv[1])
os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.umask(0)
os.environ.pop("NBTRANSFER_HOME")
os.environ["HOME"] = "/nonexistent"
os.chdir(place / "read-only")
for home in (None, "~/x", str(place / "read-only" / "x")):
    if home:
        os.environ["NBTRANSFER_HOME"] = home
    try:
        runs.create(recipe())
    except RunError as error:
        assert "set NBTRANSFER_HOME to a folder you may write to" in str(error), error
    else:
        raise AssertionError(home)
os.environ["NBTRANSFER_HOME"] = str(place / "own" / "home")
paths = runs.create(recipe())
assert runs.read_recipe(paths) == recipe()
for folder in (paths.root, *paths.root.parents[:3]):
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")
def test_a_user_who_may_write_nowhere_but_in_one_place():
    place = Path(tempfile.mkdtemp())  # pytest's own folders may be entered by their owner only
    try:
        place.chmod(0o755)
        (place / "read-only").mkdir(mode=0o755)
        (place / "own").mkdir()
        shutil.chown(place / "own", 65534, 65534)
        (place / "own").chmod(0o700)
        command = [sys.executable, "-c", AS_NOBODY, str(place)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    finally:
        shutil.rmtree(place)
