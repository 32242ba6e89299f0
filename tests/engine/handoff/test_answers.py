"""Answers are a list, and a table in every form."""

from __future__ import annotations

import csv
import os
import sys

import pytest

from nbtransfer.engine.handoff.answers import MOST_SHOWN, Answer, Answers
from nbtransfer.errors import InputError, MissingExtraError

GOOD = Answer("b", 0.75, {"a": 0.25, "b": 0.75}, "x, y.png")
KNOWN = Answer("a", 1.0, {"a": 1.0, "b": 0.0}, "red/<1>.png", "b")
BAD = Answer(None, None, {}, "z.png", None, "it is empty")


def test_they_print_as_a_table():
    header, _, first, second, third = repr(Answers([GOOD, KNOWN, BAD])).splitlines()
    assert header.split() == ["file", "truth", "answer", "probability", "p(a)", "p(b)", "problem"]
    assert first.split() == ["x,", "y.png", "–", "b", "0.750", "0.250", "0.750", "–"]
    assert second.split()[:4] == ["red/<1>.png", "b", "a", "1.000"]
    assert third.endswith("it is empty")
    assert repr(GOOD) == "Answer('b', 0.750)"
    assert repr(BAD) == "Answer(none for z.png: it is empty)"


def test_columns_without_anything_to_say_are_left_out():
    assert repr(Answers([GOOD])).splitlines()[0].split() == ["file", "answer", "probability", "p(a)", "p(b)"]
    many = Answer("0", 0.1, {str(n): 0.1 for n in range(10)}, "x.png")
    assert repr(Answers([many])).splitlines()[0].split() == ["file", "answer", "probability"]
    assert "p(9)" in Answers([many]).to_dicts()[0]
    assert repr(Answers()) == "no answers"


def test_html_is_escaped_and_long_tables_are_cut():
    html = Answers([KNOWN] * (MOST_SHOWN + 2))._repr_html_()
    assert "red/&lt;1&gt;.png" in html
    assert html.count("<tr>") == MOST_SHOWN + 1
    assert "and 2 other images; to_csv(path) writes all of them" in html


def test_a_file_holds_every_row_and_column(tmp_path):
    strange = Answer("a", 1.0, {"a": 1.0, "b": 0.0}, os.fsdecode(b"caf\xe9.png"))
    path = Answers([GOOD, KNOWN, BAD, strange]).to_csv(tmp_path / "answers.csv")
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["file", "truth", "answer", "probability", "p(a)", "p(b)", "problem"]
    assert list(rows[0].values()) == ["x, y.png", "", "b", "0.75", "0.25", "0.75", ""]
    assert rows[2] == {**dict.fromkeys(rows[0], ""), "file": "z.png", "problem": "it is empty"}
    assert rows[3]["file"] == "caf?.png"


def test_a_place_one_cannot_write_to(tmp_path):
    with pytest.raises(InputError, match=r"the table cannot be written to .*nowhere.* give a file in an existing folder"):
        Answers([GOOD]).to_csv(tmp_path / "nowhere" / "answers.csv")


def test_a_frame_needs_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        MissingExtraError, match=r"to_dataframe\(\) needs an optional package: pip install 'nbtransfer\[pandas\]'"
    ):
        Answers([GOOD]).to_dataframe()


def test_a_frame_has_the_same_rows():
    pd = pytest.importorskip("pandas")
    frame = Answers([GOOD, KNOWN, BAD]).to_dataframe()
    assert list(frame["answer"][:2]) == ["b", "a"]
    assert frame["p(a)"][:2].tolist() == [0.25, 1.0]
    assert pd.isna(frame["probability"][2])
