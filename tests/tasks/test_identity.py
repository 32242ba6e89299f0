"""A file is its content: what shows outside neither hides a change nor is one."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

import nbtransfer as nt
from nbtransfer.tasks import identity
from nbtransfer.tasks.decode import UndecodableError
from nbtransfer.tasks.source import ImageSource


@pytest.fixture(params=[True, False], ids=["settled", "fresh"])
def bitmaps(tmp_path, request, monkeypatch):
    """Images of equal size and time, once so old that what was seen of them is remembered."""
    if request.param:
        monkeypatch.setattr(identity, "SETTLED_NS", 0)
    monkeypatch.setattr(identity, "_seen", {})
    random = np.random.default_rng(0)
    for label in ("a", "b"):
        for number in range(4):
            path = tmp_path / "images" / label / f"{number}.bmp"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(path)
            os.utime(path, ns=(10**18, 10**18))
    time.sleep(0.02)  # beyond the tick of the file system's clock
    return tmp_path / "images"


def invert(path):
    size = path.stat().st_size
    with Image.open(path) as image:
        inverted = ImageOps.invert(image.convert("RGB"))
    with path.open("r+b") as stream:
        inverted.save(stream, "BMP")
    os.utime(path, ns=(10**18, 10**18))
    assert path.stat().st_size == size


def swap(one, other):
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


CHANGES = {
    "inverted in place": lambda root: invert(root / "a" / "0.bmp"),
    "swapped by rename": lambda root: swap(root / "a" / "0.bmp", root / "b" / "0.bmp"),
    "another one in its place": lambda root: shutil.copy2(root / "a" / "1.bmp", root / "a" / "0.bmp"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_other_bytes_of_equal_size_and_time_are_another_task(bitmaps, change):
    before = nt.Task.from_folder(bitmaps, duplicates="skip")
    source = ImageSource(before)
    for sample in before.samples:
        source.image(sample)
    change(bitmaps)
    assert nt.Task.from_folder(bitmaps, duplicates="skip").digest != before.digest
    for checked in (source, ImageSource(before)):
        with pytest.raises(UndecodableError, match="changed after the task was made"):
            checked.image(next(s for s in before.samples if s.source == "a/0.bmp"))


def replace_by_copy(root):
    shutil.copytree(root, root.with_name("copy"))
    shutil.rmtree(root)
    root.with_name("copy").rename(root)


SAME = {
    "touched": lambda root: [os.utime(path) for path in root.rglob("*.bmp")],
    "written again": lambda root: [path.write_bytes(path.read_bytes()) for path in root.rglob("*.bmp")],
    "copied": replace_by_copy,
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_the_same_bytes_are_the_same_task(bitmaps, change):
    before = nt.Task.from_folder(bitmaps)
    change(bitmaps)
    assert nt.Task.from_folder(bitmaps).digest == before.digest
    for sample in before.samples:
        ImageSource(before).check(sample)


def test_a_copy_elsewhere_is_the_same_task(bitmaps, tmp_path):
    shutil.copytree(bitmaps, tmp_path / "elsewhere")
    assert nt.Task.from_folder(tmp_path / "elsewhere", name="images").digest == nt.Task.from_folder(bitmaps).digest


def test_what_has_not_changed_is_read_once(bitmaps, monkeypatch):
    path = bitmaps / "a" / "0.bmp"
    digest = identity.digest_of(path)
    opened = []
    original = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: opened.append(self) or original(self, *a, **k))
    assert identity.digest_of(path) == digest
    assert len(opened) == (0 if identity.SETTLED_NS == 0 else 1)


def test_arrays_that_changed_on_the_disk():
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 8, 3), dtype=np.uint8)
    task = nt.Task.from_arrays(pixels, np.arange(8) % 2)
    path = Path(task.root)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UndecodableError, match="array file changed"):
        ImageSource(task).check(task.samples[0])


def test_arrays_differ_by_shape_as_well():
    pixels = np.random.default_rng(0).integers(0, 255, (8, 4, 6, 3), dtype=np.uint8)
    labels = np.arange(8) % 2
    assert nt.Task.from_arrays(pixels, labels).digest != nt.Task.from_arrays(pixels.reshape(8, 6, 4, 3), labels).digest
