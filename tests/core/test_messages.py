from __future__ import annotations

import ast
import copy
import json
import pickle
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbtransfer
from nbtransfer.core import events as ev
from nbtransfer.core.codec import dumps, from_plain
from nbtransfer.core.messages import Message, message, message_of, render
from nbtransfer.core.record import Record
from nbtransfer.core.sentences import SENTENCES
from nbtransfer.errors import InputError

SOURCE = Path(nbtransfer.__file__).parent
SAMPLES = {"bytes": 2_000_000, "duration": 75.0, "count": 2, "list": ["one", "two"], "names": ["one", "two"], "": "text"}


def samples(sentence):
    """A fitting value for each argument of a sentence."""
    for _, name, spec, _conversion in string.Formatter().parse(sentence):
        if name:
            kind = (spec or "").partition(" ")[0]
            yield name, SAMPLES.get(kind, 0.123456)


def calls():
    """Every place in the source that makes a message: its file, and the codes it may have there."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "message":
                codes = [n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
                yield path.relative_to(SOURCE), node, codes


class TestSentences:
    @pytest.mark.parametrize("code", SENTENCES)
    def test_each_is_rendered_with_sample_arguments(self, code):
        made = message(code, **dict(samples(SENTENCES[code])))
        assert made
        assert "{" not in made
        assert from_plain(Message, json.loads(dumps(made))) == made

    def test_each_is_used_with_just_its_arguments(self):
        used = set()
        for path, call, codes in calls():
            if path.name == "messages.py":
                continue
            used.update(codes)
            for code in codes:
                names = {name for name, _ in samples(SENTENCES[code])}
                given = {keyword.arg for keyword in call.keywords}
                assert names == given or (code == "error" and names <= given) or None in given, f"{path}: {code}"
        assert set(SENTENCES) - used - {"error"} == set()

    def test_each_call_names_its_code(self):
        assert [path for path, _, codes in calls() if not codes] == []

    def test_numbers_are_put_into_words(self):
        assert render("{a:bytes}, {b:duration}, {c:count view}, {d:list}, {e:.1f}, {f!r}", {
            "a": 154_000, "b": 200, "c": 1, "d": ["x", "y"], "e": 1.25, "f": "op",
        }) == "154 kB, 3 min 20 s, 1 view, x; y, 1.2, 'op'"  # fmt: skip


class TestMessages:
    def test_a_message_is_text(self):
        made = message("pause.by", sender="session 1")
        assert made == "paused by session 1"
        assert isinstance(made, str)
        assert f"{made}!" == "paused by session 1!"
        assert {made: 1}["paused by session 1"] == 1

    def test_code_and_arguments_survive_copies_between_processes(self):
        made = message("pause.by", sender="session 1")
        for copied in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
            assert (copied, copied.code, copied.arguments) == (made, "pause.by", {"sender": "session 1"})

    def test_messages_within_messages_survive_the_journal(self):
        why = message("end.diverged", loss="NaN", lr=0.01, smaller=0.001)
        event = ev.Stopped(message("end.with_model", why=why, epoch=3))
        read = Record.from_plain(json.loads(dumps(Record(0, 1, 0.0, 0.0, event).to_plain()))).event.reason
        assert read == event.reason
        assert (read.code, read.arguments["why"].code) == ("end.with_model", "end.diverged")

    def test_bare_text_has_no_code_and_is_stored_as_text(self):
        read = from_plain(Message, "it is hot")
        assert (read, read.code, read.arguments) == ("it is hot", "", {})
        assert dumps(read) == '"it is hot"'

    @pytest.mark.parametrize("code", ["of.tomorrow", "pause.by", "end.diverged"])
    def test_the_stored_text_stands_in_for_what_cannot_be_rendered(self, code):
        assert (
            from_plain(Message, {"code": code, "arguments": {"lr": "much"}, "text": "as it was written"}) == "as it was written"
        )

    @pytest.mark.parametrize("junk", [None, 3, [], {}, {"text": "x"}, {"code": 1, "arguments": {}, "text": "x"},
                                      {"code": "a", "arguments": [], "text": "x"}])  # fmt: skip
    def test_junk_is_refused(self, junk):
        with pytest.raises(InputError, match="should be text, or a code with arguments and text"):
            from_plain(Message, junk)

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
    def test_any_plain_argument_survives(self, value):
        made = Message("text", "of.tomorrow", {"value": value})
        read = from_plain(Message, json.loads(dumps(made)))
        assert (read, read.arguments) == (made, {"value": value})

    def test_an_error_may_carry_a_message(self):
        made = message("refused.stopping")
        assert message_of(InputError(made)) is made
        bare = message_of(InputError("no such layer"))
        assert (bare, bare.code, bare.arguments["kind"]) == ("no such layer", "error", "InputError")
