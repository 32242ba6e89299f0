"""Images that come from a file of arrays, whatever became of the file since."""

from __future__ import annotations

import dataclasses
import io
import struct
from pathlib import Path

import numpy as np
import pytest

import nbtransfer as nt
from nbtransfer.tasks.decode import UndecodableError
from nbtransfer.tasks.source import ImageSource


@pytest.fixture
def task():
    pixels = np.random.default_rng(0).integers(0, 255, (12, 8, 8, 3), dtype=np.uint8)
    return nt.Task.from_arrays(pixels, np.arange(12) % 2)


def claiming(shape, kind="|u1", fortran=False):
    """The header of a file of arrays, and next to nothing behind it."""
    text = f"{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + b"\0" * 64


class Program:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def pickled():
    stream = io.BytesIO()
    np.save(stream, np.array([Program()], dtype=object), allow_pickle=True)
    return stream.getvalue()


HOSTILE = {
    "more than there is": claiming((10**9, 8, 8, 3)),
    "more than there can be": claiming((2**62, 2**62, 8, 3)),
    "less than nothing": claiming((-1, 8, 8, 3)),
    "no images": claiming((64,)),
    "numbers of another kind": claiming((2, 2, 2, 1), "<f8"),
    "images without pixels": claiming((12, 0, 8, 3)),
    "a program": pickled(),
    "no array": b"PK\x05\x06" + b"\0" * 18,
    "half a header": claiming((12, 8, 8, 3))[:20],
    "nothing": b"",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_header_that_lies(task, content, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path(task.root).write_bytes(content)
    with pytest.raises(UndecodableError, match="the array file"):
        ImageSource(task).image(task.samples[0])
    assert list(Path().iterdir()) == []


def test_one_huge_image_is_refused_before_it_is_read(task):
    with Path(task.root).open("wb") as stream:
        stream.write(claiming((1, 2**20, 2**20, 3)))
        stream.truncate(2**42)  # takes no room: nothing of it is written
    with pytest.raises(UndecodableError, match="does not hold images"):
        ImageSource(task).image(dataclasses.replace(task.samples[0], source="0"))


@pytest.mark.parametrize("row", ["12", "-1", "x", "1" * 5000, ""])
def test_rows_that_are_not_there(task, row):
    with pytest.raises(UndecodableError, match="row"):
        ImageSource(task).image(dataclasses.replace(task.samples[0], source=row))
