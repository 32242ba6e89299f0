"""Making a task finds everything that is wrong, in one go, and names the files."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbtransfer as nt
from nbtransfer.errors import MissingExtraError, TaskError
from nbtransfer.tasks import decode, demo, identity, scan
from nbtransfer.tasks.split import stratify
from tests.support.pictures import COLOURS, picture


def sizes(task):
    return tuple(task.sizes.values())


class TestFolders:
    def test_one_folder_per_class(self, images):
        task = nt.Task.from_folder(images)
        assert task.classes == ("blue", "green", "red")
        assert repr(task) == "Task('images', 3 classes (blue, green, red), 30 train + 6 val)"
        assert task.class_counts["blue"] == {"train": 10, "val": 2, "test": 0}
        assert task.samples[0].source == "blue/00.png"
        assert task.image(task.samples[0]).size == (40, 40)
        assert "<td>blue</td>" in task._repr_html_()

    def test_the_same_seed_gives_the_same_task(self, images):
        one, two, other = (nt.Task.from_folder(images, seed=s) for s in (1, 1, 2))
        assert one == two
        assert one.digest == two.digest != other.digest

    def test_given_splits(self, images, tmp_path):
        root = tmp_path / "split"
        shutil.copytree(images, root / "train")
        for name, parts in (("val", slice(0, 3)), ("test", slice(3, 4))):
            for label in COLOURS:
                (root / name / label).mkdir(parents=True)
                for path in sorted((root / "train" / label).iterdir())[parts]:
                    path.rename(root / name / label / path.name)
        assert sizes(nt.Task.from_folder(root)) == (24, 9, 3)

    def test_train_and_test_without_val_holds_some_out(self, images, tmp_path):
        root = tmp_path / "split"
        shutil.copytree(images, root / "train")
        for label in COLOURS:
            (root / "test" / label).mkdir(parents=True)
            (root / "train" / label / "00.png").rename(root / "test" / label / "00.png")
        task = nt.Task.from_folder(root)
        assert sizes(task) == (27, 6, 3)

    def test_junk_never_counts(self, images):
        (images / ".ipynb_checkpoints").mkdir()
        picture((1, 2, 3), 0).save(images / ".ipynb_checkpoints" / "x.png")
        (images / "__MACOSX" / "red").mkdir(parents=True)
        (images / "red" / ".DS_Store").write_bytes(b"x")
        (images / "red" / "Thumbs.db").write_bytes(b"x")
        (images / "red" / ".ipynb_checkpoints").mkdir()
        shutil.copy(images / "red" / "00.png", images / "red" / ".ipynb_checkpoints" / "00-checkpoint.png")
        task = nt.Task.from_folder(images)
        assert len(task.samples) == 36
        assert task.notes == ()

    def test_files_of_other_kinds_are_noted(self, images):
        (images / "red" / "readme.txt").write_text("x")
        assert nt.Task.from_folder(images).notes == ("1 file without an image suffix left out: red/readme.txt",)

    def test_linked_folders_are_not_entered(self, images):
        (images / "red" / "loop").symlink_to(images)
        task = nt.Task.from_folder(images)
        assert len(task.samples) == 36
        assert task.notes == ("linked folders not followed: loop",)

    def test_names_that_are_not_unicode(self, images):
        strange = os.fsdecode(b"caf\xe9\xff.png")
        picture((200, 0, 0), 7).save(images / "red" / "x.png")
        (images / "red" / "x.png").rename(images / "red" / strange)
        task = nt.Task.from_folder(images)
        assert f"red/{strange}" in {s.source for s in task.samples}
        assert len(task.digest) == 64

    def test_a_limit_per_class(self, images):
        task = nt.Task.from_folder(images, per_class=4)
        assert Counter(s.label for s in task.samples) == {0: 4, 1: 4, 2: 4}
        assert task == nt.Task.from_folder(images, per_class=4)

    def test_a_scan_is_kept(self, images, monkeypatch):
        monkeypatch.setattr(identity, "SETTLED_NS", 0)
        time.sleep(0.02)  # beyond the tick of the file system's clock
        nt.Task.from_folder(images)
        monkeypatch.setattr(scan, "check_header", None)  # a second look would fail
        assert len(nt.Task.from_folder(images).samples) == 36


class TestProblems:
    def problems(self, root, **options):
        with pytest.raises(TaskError) as caught:
            nt.Task.from_folder(root, **options)
        return str(caught.value)

    def test_all_at_once(self, images):
        (images / "red" / "00.png").write_bytes(b"")
        (images / "red" / "01.png").write_bytes(b"text")
        shutil.copy(images / "blue" / "05.png", images / "green" / "copy.png")
        (images / "yellow").mkdir()
        text = self.problems(images)
        assert (
            "2 unreadable images: images/red/00.png: it is empty, images/red/01.png: it is not an image (unknown format)"
            in text
        )
        assert "1 image with more than one label: images/blue/05.png = images/green/copy.png" in text
        assert (
            "too few images to train on: yellow (0); give each class at least 2, or leave its folder out with ignore=" in text
        )

    def test_leaving_them_out_is_noted(self, images):
        (images / "red" / "00.png").write_bytes(b"")
        shutil.copy(images / "blue" / "05.png", images / "green" / "copy.png")
        task = nt.Task.from_folder(images, unreadable="skip", duplicates="skip")
        assert len(task.samples) == 36 - 2
        assert task.notes[0].startswith("left out: 1 unreadable image: images/red/00.png: it is empty")
        assert task.notes[1].startswith(
            "left out: 1 image with more than one label: images/blue/05.png = images/green/copy.png"
        )

    def test_a_dangling_link(self, images):
        (images / "red" / "99.png").symlink_to(images / "nowhere.png")
        assert "images/red/99.png: it is gone" in self.problems(images)

    def test_val_without_train(self, images, tmp_path):
        for name in ("val", "test"):
            shutil.copytree(images, tmp_path / "split" / name)
        assert "has test, val but no train folder; add one, or name the training folder" in self.problems(tmp_path / "split")

    def test_a_class_of_copies(self, images):
        for path in (images / "red").iterdir():
            shutil.copy(images / "red" / "00.png", path) if path.name != "00.png" else None
        assert "all 12 images of class red are copies of one; add different ones" in self.problems(images)

    def test_a_file_one_may_not_read(self, images, monkeypatch):
        real = scan.check_header

        def refuse(path, reading):
            if path.name == "03.png":
                raise decode.UndecodableError("it is not an image (Permission denied)")
            return real(path, reading)

        monkeypatch.setattr(scan, "check_header", refuse)
        assert "3 unreadable images: images/blue/03.png: it is not an image (Permission denied)" in self.problems(images)

    def test_one_class(self, images):
        shutil.rmtree(images / "red")
        shutil.rmtree(images / "blue")
        assert "only one class (green); a task needs at least two class folders" in self.problems(images)

    def test_classes_that_differ_between_splits(self, images, tmp_path):
        root = tmp_path / "split"
        shutil.copytree(images, root / "train")
        shutil.copytree(images / "red", root / "val" / "red")
        shutil.copytree(images / "blue", root / "val" / "azure")
        text = self.problems(root)
        assert "no training images of class azure; add some, or leave out its others with ignore=" in text
        assert "12 images in more than one split, so scores would be too good" in text

    def test_copies_on_both_sides_can_be_kept_for_training_only(self, images, tmp_path):
        root = tmp_path / "split"
        shutil.copytree(images, root / "train")
        for label, colour in COLOURS.items():
            (root / "val" / label).mkdir(parents=True)
            picture(colour, 999).save(root / "val" / label / "new.png")
            shutil.copy(images / label / "00.png", root / "val" / label / "leak.png")
        task = nt.Task.from_folder(root, duplicates="skip")
        assert sizes(task) == (36, 3, 0)

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda p: p / "nowhere", "is missing; give a folder with one folder per class"),
            (lambda p: p / "red" / "00.png", "is a file"),
            (lambda _: "", "the path of the folder is empty; give its path, or '\\.' for"),
            (lambda p: p / "red", r"has no class folders with images \(its images are not in folders"),
        ],
    )
    def test_folders_that_hold_no_task(self, images, make, message):
        with pytest.raises(TaskError, match=message):
            nt.Task.from_folder(make(images))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"holdout": 0}, "holdout is 0; keep some"),
            ({"holdout": 1.5}, "holdout is 1.5; use a share"),
            ({"holdout": 0.6, "test": 0.5}, "holdout and test together are 1.10"),
            ({"unreadable": "ignore"}, "unreadable is 'ignore'; use 'error' or 'skip'"),
            ({"per_class": 1}, "per_class is 1"),
        ],
    )
    def test_options(self, images, options, message):
        assert message in self.problems(images, **options)


class TestSplit:
    labels = st.lists(st.integers(0, 3), min_size=1, max_size=80)

    @given(labels, st.floats(0.01, 0.6), st.floats(0, 0.3), st.integers(0, 5))
    def test_every_class_is_learned_and_judged(self, labels, holdout, test, seed):
        sides = stratify(labels, holdout, test, seed)
        assert sides == stratify(labels, holdout, test, seed)
        for label in set(labels):
            counts = Counter(side for side, of in zip(sides, labels, strict=True) if of == label)
            total = sum(counts.values())
            assert counts["train"] >= 1
            if total > 1:
                assert counts["val"] == min(max(1, round(total * holdout)), total - 1)

    @given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=60), st.integers(0, 5))
    def test_copies_stay_together(self, pairs, seed):
        labels, groups = zip(*pairs, strict=True)
        if any(labels.count(c) > 1 and len({g for of, g in pairs if of == c}) == 1 for c in set(labels)):
            with pytest.raises(TaskError, match="are copies of one"):
                stratify(labels, 0.3, 0.2, seed, groups)
            return
        sides = stratify(labels, 0.3, 0.2, seed, groups)
        places = {}
        for label, group, side in zip(labels, groups, sides, strict=True):
            assert places.setdefault((label, group), side) == side


class TestDemo:
    def test_textile(self):
        task = nt.Task.demo("textile", per_class=20)
        assert task.classes == ("global", "local", "nominal")
        assert sizes(task) == (48, 12, 0)
        assert task.image(task.samples[0]).size == (250, 250)

    def test_digits(self):
        task = nt.Task.demo("digits")
        assert len(task.samples) == 1797
        assert len(task.classes) == 10

    def test_unknown(self):
        with pytest.raises(TaskError, match="there is no demo task 'textiles'; did you mean 'textile'"):
            nt.Task.demo("textiles")

    def test_without_the_package_the_command_is_named(self, monkeypatch):
        monkeypatch.setattr(demo.importlib.util, "find_spec", lambda _: None)
        with pytest.raises(MissingExtraError, match=r"pip install 'nbtransfer\[demo\]'"):
            nt.Task.demo("textile")
