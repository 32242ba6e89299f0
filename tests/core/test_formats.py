from __future__ import annotations

import json

import pytest

from nbtransfer.core import events as ev
from nbtransfer.core.formats import events, numbers, run
from nbtransfer.core.record import Record
from nbtransfer.core.state import fold
from nbtransfer.store.journal import JournalReader, JournalWriter

HEAD = {"seq": 3, "attempt": 1, "time": 0.0, "clock": 0.0}
DECIDED = {**HEAD, "event": "Decided", "subject": "cache", "choice": "no", "reason": "it is slow", "moment": "0.0"}


class TestNumbers:
    @pytest.mark.parametrize("number", [0, -1, None, "later", True, 1.0])
    def test_what_no_version_has_written_is_refused(self, number):
        assert numbers.refusal(number, 2) == f"has the unknown format {number!r}; restore it from a copy"

    def test_what_is_newer_asks_for_an_update(self):
        assert numbers.refusal(3, 2) == "has format 3, and this nbtransfer reads up to 2; update nbtransfer"

    def test_what_is_older_can_be_read(self):
        assert numbers.refusal(1, 2) is numbers.refusal(2, 2) is None

    def test_steps_follow_one_another_from_the_number_that_was_written(self):
        steps = [lambda plain, n=n: {**plain, "steps": [*plain["steps"], n]} for n in (1, 2, 3)]
        assert numbers.upgrade({"steps": []}, 2, steps) == {"steps": [2, 3]}
        assert numbers.upgrade({"steps": []}, 4, steps) == {"steps": []}


class TestEvents:
    def test_the_moment_of_a_decision_is_its_id(self):
        before = dict(DECIDED)
        assert Record.from_plain(before, 1).event == ev.Decided("cache", "no", "it is slow", id="0.0")
        assert before == DECIDED

    def test_why_a_phase_ended_is_a_code(self):
        record = {**HEAD, "event": "PhaseEnded", "phase": "ft", "index": 0, "best_epoch": 2}
        assert events.upgrade({**record, "reason": "no better validation score"}, 1) == {**record, "reason": "patience"}
        assert events.upgrade({**record, "reason": "stopped"}, 1) == {**record, "reason": "stopped"}

    def test_random_weights_have_no_digest(self):
        record = {**HEAD, "event": "Prepared"}
        assert events.upgrade({**record, "weights": "random, seed 3"}, 1) == {**record, "weights": None}
        assert events.upgrade({**record, "weights": "5f3c"}, 1) == {**record, "weights": "5f3c"}

    def test_who_says_no_format_has_the_first(self):
        starting = {**HEAD, "event": "Starting", "pid": 1, "host": "h", "python": "3"}
        assert events.format_of(starting, numbers.EVENTS) == 1
        assert Record.from_plain(starting, 1).event.format == 1

    @pytest.mark.parametrize("record", [DECIDED, [], None, {"event": "Starting", "format": "junk"}])
    def test_other_lines_are_of_the_format_before(self, record):
        assert events.format_of(record, 7) == 7

    def test_what_is_known_of_a_newer_event_is_read(self):
        record = {**HEAD, "event": "Finished", "best_epoch": 2, "seconds": 3.0, "joules": 4.0}
        assert Record.from_plain(record, numbers.EVENTS + 1).event == ev.Finished(2, 3.0)


class TestRun:
    def test_decisions_that_are_repeated_have_ids(self):
        decision = {"subject": "cache", "choice": "no", "reason": "it is slow", "moment": "0.0"}
        spec = {"format": 1, "recipe": {"epochs": 3}, "repeat": {"run": "x", "changes": [], "decisions": [decision]}}
        upgraded = run.upgrade(spec)
        assert upgraded["repeat"]["decisions"] == [{"subject": "cache", "choice": "no", "reason": "it is slow", "id": "0.0"}]
        assert (upgraded["format"], upgraded["recipe"], upgraded["repeat"]["run"]) == (numbers.RUN, {"epochs": 3}, "x")
        assert spec["repeat"]["decisions"] == [decision]

    def test_before_examples_had_digests(self):
        assert run.upgrade_sample(["a/1.png", 0, "train", 10, 123]) == ["a/1.png", 0, "train", "stat:10:123"]
        assert run.upgrade_sample(["a/1.png", 0, "train", "5f3c"]) == ["a/1.png", 0, "train", "5f3c"]

    @pytest.mark.parametrize("repeat", [None, [], {"decisions": None}, {"decisions": ["junk"]}])
    def test_what_is_no_history_is_left_to_whoever_reads_it(self, repeat):
        assert run.upgrade({"format": 1, "repeat": repeat})["format"] == numbers.RUN


class TestJournals:
    def written(self, path, *attempts):
        """A journal in which each attempt says another format."""
        for number, (format_, event) in enumerate(attempts, 1):
            journal = JournalWriter(path, number)
            journal.append(ev.Starting(1, "h", "3", format_))
            journal.close()
            with path.open("a") as stream:
                stream.write(json.dumps({**HEAD, **event, "seq": 2 * number - 1, "attempt": number}) + "\n")
        return fold(JournalReader(path).read())

    def test_each_attempt_is_read_in_its_own_format(self, tmp_path):
        now = {"event": "Decided", "subject": "folding", "choice": "no", "reason": "it is slow", "id": "1.0"}
        state = self.written(tmp_path / "events.jsonl", (1, {**DECIDED}), (numbers.EVENTS, now))
        assert [(d.subject, d.id) for d in state.decisions] == [("cache", "0.0"), ("folding", "1.0")]
        assert not state.newer
        assert not state.warnings

    def test_what_a_newer_version_adds_is_passed_over_with_one_warning(self, tmp_path):
        newer = numbers.EVENTS + 1, {"event": "Dreamt", "of": "sheep"}
        state = self.written(tmp_path / "events.jsonl", newer, newer, (numbers.EVENTS, {"event": "Warned", "message": "hot"}))
        assert state.newer
        assert state.warnings == ("a newer nbtransfer has written to this run; update nbtransfer to see what it added", "hot")
