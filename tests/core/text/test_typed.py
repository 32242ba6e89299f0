"""Numbers as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtransfer.core.text.typed import number
from nbtransfer.errors import InputError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10), (" 10 ", 10), ("10.0", 10), ("0.001", 0.001), (".5", 0.5), ("0,001", 0.001), ("2,5", 2.5), ("1e-3", 0.001),
        ("-1", -1), ("−1", -1), ("1000", 1000), ("0,5", 0.5), ("1E2", 100.0), ("12,25", 12.25),
    ],
)  # fmt: skip
def test_what_is_meant(text, value):
    assert number(text, "it") == value
    assert type(number(text, "it")) is type(value)


@pytest.mark.parametrize("text", ["", "ten", "1.2.3", "0x10", "1,2,3", "1 000", "nan", "inf", "1e", "--1", "1_000", "5 %"])
def test_what_is_no_number(text):
    with pytest.raises(InputError, match=r"the learning rate is .*, not a number; enter one such as 10 or 0\.001"):
        number(text, "the learning rate")


def test_what_can_mean_two_numbers():
    with pytest.raises(InputError, match=r"'1,000', which can mean 1000 or 1\.000; write it without a comma"):
        number("1,000", "it")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_written_is_read(value):
    assert number(repr(value), "it") == value
