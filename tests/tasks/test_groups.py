"""What belongs together stays together."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import nbtransfer as nt
from nbtransfer.errors import TaskError
from nbtransfer.tasks.groups import groups_of, joined
from nbtransfer.tasks.split import divide_groups
from tests.support.pictures import picture

SHARES = st.sampled_from([(0.2, 0.0), (0.2, 0.2), (0.5, 0.0), (0.1, 0.3)])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), min_size=6, max_size=80), SHARES, st.integers(0, 3))
def test_no_group_is_torn_and_every_class_is_in_every_split(examples, shares, seed):
    labels, groups = [label for label, _ in examples], [group for _, group in examples]
    assume(set(labels) == {0, 1, 2})
    wanted = {"train", "val"} | ({"test"} if shares[1] else set())
    try:
        sides = divide_groups(labels, *shares, seed, groups, "abc")
    except TaskError:  # what it says is tested below
        return
    assert all(len({side for side, other in zip(sides, groups, strict=True) if other == group}) == 1 for group in set(groups))
    for label in set(labels):
        assert {side for side, other in zip(sides, labels, strict=True) if other == label} == wanted
    assert sides == divide_groups(labels, *shares, seed, groups, "abc")


@given(st.integers(0, 20))
def test_shares_come_close_where_groups_are_small(seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, 600).tolist()
    groups = random.integers(0, 150, 600).tolist()
    counts = Counter(zip(labels, divide_groups(labels, 0.2, 0.1, seed, groups, "abc"), strict=True))
    for label in range(3):
        total = labels.count(label)
        assert abs(counts[label, "val"] / total - 0.2) < 0.04
        assert abs(counts[label, "test"] / total - 0.1) < 0.04


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40))
def test_joined_groups_hold_what_is_equal_in_either_column(rows):
    one, other = [a for a, _ in rows], [b for _, b in rows]
    numbers = joined(one, other)
    for column in (one, other):
        seen = defaultdict(set)
        for value, number in zip(column, numbers, strict=True):
            seen[value].add(number)
        assert all(len(each) == 1 for each in seen.values())


class TestFolders:
    @pytest.fixture
    def patients(self, tmp_path):
        for label, colour in {"ill": (200, 30, 30), "well": (30, 30, 200)}.items():
            (tmp_path / label).mkdir()
            for number in range(24):
                picture(colour, number).save(tmp_path / label / f"patient_{number % 8:02d}-{number}.png")
        return tmp_path

    @pytest.mark.parametrize(
        "groups",
        [r"patient_\d+", re.compile(r"(patient_\d+)-"), lambda path: path.split("patient_")[1][:2]],
        ids=["text", "pattern", "function"],
    )
    def test_a_patient_with_both_labels_is_in_one_split(self, patients, groups):
        task = nt.Task.from_folder(patients, groups=groups, holdout=0.25)
        sides = defaultdict(set)
        for sample in task.samples:
            sides[sample.source.split("patient_")[1][:2]].add(sample.split)
        assert [len(each) for each in sides.values()] == [1] * 8
        assert task.class_counts["ill"] == task.class_counts["well"] == {"train": 18, "val": 6, "test": 0}
        assert task.digest != nt.Task.from_folder(patients, holdout=0.25).digest

    def test_a_path_that_does_not_match_is_named(self, patients):
        picture((0, 99, 0), 3).save(patients / "ill" / "stray.png")
        with pytest.raises(TaskError, match=r"matches nothing in 1 path, such as ill/stray.png; give an expression"):
            nt.Task.from_folder(patients, groups=r"patient_\d+")

    @pytest.mark.parametrize(
        ("groups", "message"),
        [
            ("(", "no regular expression"),
            ("ill|well", "examples of class ill are in 1 group, too few"),
            (lambda path: None, "no group for ill/patient_00-0.png"),
            (lambda path: [path], "let it give text or a number"),
        ],
    )
    def test_mistakes_are_explained(self, patients, groups, message):
        with pytest.raises(TaskError, match=message):
            nt.Task.from_folder(patients, groups=groups)

    def test_a_group_in_two_given_folders_is_refused(self, patients, tmp_path):
        root = tmp_path / "given"
        for side, numbers in {"train": range(16), "val": range(15, 24)}.items():
            for label in ("ill", "well"):
                (root / side / label).mkdir(parents=True)
                for number in numbers:
                    picture((number, 9, 90), len(list(root.rglob("*.png")))).save(root / side / label / f"p{number % 16}.png")
        with pytest.raises(TaskError, match=r"9 groups in more than one split folder.*'p0' \(train, val\)"):
            nt.Task.from_folder(root, groups=r"p\d+")


def test_a_column_for_arrays_and_datasets():
    pixels = np.random.default_rng(0).integers(0, 255, (24, 8, 8, 3), dtype=np.uint8)
    column = np.arange(24) // 3
    task = nt.Task.from_arrays(pixels, np.arange(24) % 2, groups=column)
    sides = [sample.split for sample in task.samples]
    assert all(len(set(sides[start : start + 3])) == 1 for start in range(0, 24, 3))
    with pytest.raises(TaskError, match="groups has 3 values for 24 examples"):
        nt.Task.from_arrays(pixels, np.arange(24) % 2, groups=[1, 2, 3])


def test_values_that_are_no_group():
    with pytest.raises(TaskError, match="gives no group for b"):
        groups_of([1.0, float("nan")], ["a", "b"])
