import pytest

from nbtransfer.core.text.durations import duration


@pytest.mark.parametrize(("s", "text"), [(1.25, "1.2 s"), (42, "42 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")])
def test_duration(s, text):
    assert duration(s) == text
