"""What is said of a folder: how it was understood, what is left out, and what cannot be read."""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest
from PIL import Image

import nbtransfer as nt
from nbtransfer.errors import TaskError
from nbtransfer.tasks.folders import read_tree
from tests.support.pictures import COLOURS, picture


class TestSaid:
    def folders(self, tmp_path, *parts):
        for number, (part, (name, colour)) in enumerate(itertools.product(parts, COLOURS.items())):
            (tmp_path / part / name).mkdir(parents=True)
            for each in range(4):
                picture(colour, 100 * number + each).save(tmp_path / part / name / f"{each}.png")
        return tmp_path

    def test_what_was_understood(self, tmp_path):
        task = nt.Task.from_folder(self.folders(tmp_path, "training_set/training_set", "test_set/test_set"))
        assert task.layout == (
            "training_set/training_set (train), test_set/test_set (test), one folder per class: "
            "3 classes (blue, green, red), 12 train + 12 test"
        )
        assert task.layout in task._repr_html_()
        assert "3 classes (blue, green, red)" in repr(task)

    def test_images_without_a_label(self, tmp_path):
        root = self.folders(tmp_path, "train")
        picture((1, 2, 3), 999).save(root / "train" / "loose.png")
        (root / "test").mkdir()
        picture((1, 2, 3), 998).save(root / "test" / "1.png")
        notes = nt.Task.from_folder(root).notes
        assert "1 image in train has no class folder, so no label: left out; use run.predict on it after training" in notes
        assert "1 image in test has no class folder, so no label: left out; use run.predict on it after training" in notes

    def test_folders_beside_train(self, tmp_path):
        root = self.folders(tmp_path, "train")
        (root / "unlabelled").mkdir()
        for number in range(2):
            picture((1, 2, 3), 900 + number).save(root / "unlabelled" / f"{number}.png")
        note = "left out, because there is a train folder: 2 images in unlabelled; use run.predict on them after training"
        assert note in nt.Task.from_folder(root).notes

    def test_a_hold_out_without_a_class(self, tmp_path):
        root = self.folders(tmp_path, "train", "test")
        for path in (root / "test" / "red").iterdir():
            path.unlink()
        task = nt.Task.from_folder(root)
        assert "there are no test images of class red: scores on the test images say nothing about it" in task.notes

    def test_a_share_that_rounds_to_nothing(self, tmp_path):
        task = nt.Task.from_folder(self.folders(tmp_path, "train"), test=0.1)
        assert task.sizes["test"] == 0
        assert "no test examples: 0.1 of each class rounds to none; use a larger share" in task.notes

    def test_given_folders(self, tmp_path):
        task = nt.Task.from_folder(self.folders(tmp_path, "a", "b", "c"), train=["a", "b"], test="c")
        assert tuple(task.sizes.values()) == (18, 6, 12)

    def test_white_is_measured_over_the_whole_task(self, tmp_path):
        """Data of 12 bits in files of 16, and the same pixels in 8 bits, are the same task to a network."""
        rng = np.random.default_rng(0)
        for kind, label, number in itertools.product(("wide", "narrow"), ("a", "b"), range(4)):
            (tmp_path / kind / label).mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (20, 20))
            values = (pixels * 4095 / 255).round().astype(np.uint16) if kind == "wide" else pixels.astype(np.uint8)
            Image.fromarray(values).save(tmp_path / kind / label / f"{number}.png")
        task = nt.Task.from_folder(tmp_path / "wide")
        assert task.reading.white_level == 4095
        assert any("4,095 is read as white; white_level=65535" in note for note in task.notes)
        assert max(np.asarray(task.image(sample)).max() for sample in task.samples) > 250
        whole = nt.Task.from_folder(tmp_path / "wide", white_level=65_535)
        assert whole.reading.white_level == 65_535
        assert whole.digest != task.digest
        assert nt.Task.from_folder(tmp_path / "narrow").reading.white_level == 65_535


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    for name in ("a", "b", "private"):
        (tmp_path / "images" / name).mkdir(parents=True)
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("private"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(
        TaskError, match=r"private cannot be read \(Permission denied\); check its permissions, or leave it out"
    ):
        read_tree(tmp_path / "images")
