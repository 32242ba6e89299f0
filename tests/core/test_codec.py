from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtransfer.core.codec import dumps, from_plain, to_plain
from nbtransfer.errors import InputError


@dataclass(frozen=True)
class Inner:
    ratio: float
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    count: int
    kind: Literal["a", "b"]
    inner: Inner | None = None
    pair: tuple[int, str] = (0, "")
    table: dict[str, float] = field(default_factory=dict)


outers = st.builds(
    Outer,
    st.integers(),
    st.sampled_from(["a", "b"]),
    st.none() | st.builds(Inner, st.floats(allow_nan=False), st.lists(st.text(), max_size=3).map(tuple)),
    st.tuples(st.integers(), st.text()),
    st.dictionaries(st.text(), st.floats(allow_nan=False), max_size=3),
)


@given(outers)
def test_what_goes_in_comes_out(value):
    assert from_plain(Outer, json.loads(dumps(value))) == value


@given(st.binary(max_size=20))
def test_file_names_that_are_not_unicode_survive(raw):
    name = raw.decode("utf-8", "surrogateescape")
    text = dumps(Inner(1.0, (name,)))
    assert text.isascii()
    assert from_plain(Inner, json.loads(text)).names[0].encode("utf-8", "surrogateescape") == raw


@pytest.mark.parametrize(("number", "text"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")])
def test_numbers_json_does_not_have_become_words(number, text):
    assert to_plain(Inner(number))["ratio"] == text
    back = from_plain(Inner, {"ratio": text}).ratio
    assert back == number or (math.isnan(back) and math.isnan(number))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"count": 1, "kind": "c"}, "Outer.kind is 'c'; choose one of 'a', 'b'"),
        ({"count": 1.5, "kind": "a"}, "Outer.count should be of type int, not 1.5"),
        ({"count": True, "kind": "a"}, "Outer.count should be of type int, not True"),
        ({"count": 1, "kind": "a", "colour": 2}, "Outer has no setting 'colour'; it has count, kind, inner, pair, table"),
        ({"count": 1}, "Outer is incomplete"),
        ({"count": 1, "kind": "a", "pair": [1]}, "Outer.pair should have 2 entries, not 1"),
        ({"count": 1, "kind": "a", "inner": {"ratio": "x"}}, "Outer.inner.ratio should be of type float, not 'x'"),
        ({"count": 1, "kind": "a", "inner": {"ratio": 1, "names": "abc"}}, "Outer.inner.names should be a list, not 'abc'"),
        ([], "Outer should be a mapping of settings"),
    ],
)
def test_misfits_are_named(data, message):
    with pytest.raises(InputError) as caught:
        from_plain(Outer, data)
    assert message in str(caught.value)


def test_things_without_a_plain_form_are_refused():
    with pytest.raises(TypeError, match="set has no plain form"):
        to_plain({"x": {1}})
