"""The curves of a run: whatever the worker says, a chart that takes in the news has what the run has."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nbtransfer.core import events as ev
from nbtransfer.core.record import Record
from nbtransfer.store.paths import RunPaths
from nbtransfer.ui.series import MOST_POINTS, Series


def steps(numbers, of=10):
    said = [ev.Step("ft", 1 + n // of, n % of + 1, of, 1 / (n + 1), 1e-3, 1.0) for n in numbers]
    return [Record(seq, 1, 0.0, 0.0, step) for seq, step in enumerate(said)]


def series(tmp_path, numbers):
    made = Series(RunPaths(tmp_path))
    made.add(steps(numbers))
    return made


def test_steps_become_points_between_epochs(tmp_path):
    assert series(tmp_path, [0, 4, 9, 10]).points == [(0.1, 1.0), (0.5, 0.2), (1.0, 0.1), (1.1, 0.09091)]


def test_a_resumed_run_shows_no_epoch_twice(tmp_path):
    made = series(tmp_path, [0, 1, 2, 3, 2, 3, 4])
    assert [x for x, _ in made.points] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert made.generation == 1


@given(st.lists(st.integers(0, 400), max_size=60))
def test_points_always_go_to_the_right(tmp_path_factory, numbers):
    points = series(tmp_path_factory.getbasetemp(), numbers).points
    assert [x for x, _ in points] == sorted({x for x, _ in points})


def test_a_long_run_keeps_a_bounded_number_of_points(tmp_path):
    made = series(tmp_path, range(5 * MOST_POINTS))
    assert MOST_POINTS / 4 < len(made.points) <= MOST_POINTS
    assert made.points[-1][0] > 0.99 * 5 * MOST_POINTS / 10
    gaps = {round(b[0] - a[0], 4) for a, b in zip(made.points[1:], made.points[2:], strict=False)}
    assert len(gaps) <= 2
