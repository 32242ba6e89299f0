import pytest

from nbtransfer.core.text.counts import byte_size, quantity, short_number


@pytest.mark.parametrize(("n", "text"), [(0, "0 images"), (1, "1 image"), (12000, "12,000 images")])
def test_quantities_agree_with_their_noun(n, text):
    assert quantity(n, "image") == text


@pytest.mark.parametrize(("n", "text"), [(950, "950"), (3_372_000, "3.37 M"), (1.81e9, "1.81 G"), (1234, "1.23 k")])
def test_large_numbers_have_three_digits(n, text):
    assert short_number(n) == text


@pytest.mark.parametrize(("n", "text"), [(1, "1 byte"), (12, "12 bytes"), (3_100_000, "3.1 MB"), (20e9, "20 GB")])
def test_sizes_are_decimal(n, text):
    assert byte_size(n) == text
