"""Run folders, a cache and an export that the first edition wrote: they open, show, explain, export and predict."""

from __future__ import annotations

import json

import pytest
import torch

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.core.formats.numbers import CHECKPOINT, RUN
from nbtransfer.core.state import fold
from nbtransfer.engine.checkpoints import checkpoint
from nbtransfer.engine.checkpoints.resume import layers_digest
from nbtransfer.engine.training import carry_out
from nbtransfer.errors import CodeError, FormatError, RunError
from nbtransfer.jobs.launcher import repeat
from nbtransfer.jobs.run import Run
from nbtransfer.store import checkpoints, runs
from nbtransfer.store.journal import JournalReader, JournalWriter
from nbtransfer.ui.report import Report
from nbtransfer.ui.run_facts import result_facts, run_facts
from tests.support.commands import stop_after
from tests.support.first_edition import lay_out
from tests.support.runs import PATIENCE

STATUS = {
    "finished": "finished", "repeated": "finished", "code": "finished", "stopped": "stopped", "failed": "failed",
    "left": "paused", "killed": "lost",
}  # fmt: skip
WITH_MODEL = ("finished", "repeated", "stopped")


@pytest.fixture
def folders(tmp_path, home):
    """Run folders by title."""
    return lay_out(tmp_path, home)


@pytest.fixture
def old(folders):
    """Runs by title."""
    return {title: Run(paths) for title, paths in folders.items()}


def test_every_run_opens_as_it_ended(old):
    assert {title: run.state.status for title, run in old.items()} == STATUS
    assert not any(run.state.newer for run in old.values())
    for run in old.values():
        assert run.recipe.task.sizes == {"train": 12, "val": 6, "test": 6}
        assert all(row.val_accuracy <= 1 for row in run.history())
    assert "unreadable" not in repr(nt.runs())
    assert len(nt.runs()) == len(STATUS)


def test_every_line_of_every_journal_is_read(folders):
    for paths in folders.values():
        reader = JournalReader(paths.events)
        lines = paths.events.read_text().splitlines()
        assert len(list(reader.read())) == len(lines)
        assert reader.skipped == 0


def test_what_the_workers_said_is_shown(old):
    assert "activations" not in old["finished"].state.decisions[0].reason  # the text is all there is
    assert old["failed"].state.message.startswith("red/7.png cannot be decoded")
    assert old["finished"].state.skipped[0].reason == "it is damaged (image file is truncated)"
    assert [c.op for c in old["stopped"].state.changes if c.op != "stop"] == ["set_lr", "freeze", "thaw", "set_epochs"]
    for run in old.values():
        assert json.dumps(run_facts(run, run.state))


def test_what_was_decided_is_repeated(folders):
    spec = runs.read_spec(folders["repeated"])
    assert (spec["format"], json.loads(folders["repeated"].spec.read_text())["format"]) == (RUN, 1)
    assert [(d.subject, d.id) for d in runs.read_repeat(folders["repeated"]).decisions] == [
        ("cache", "0.0"),
        ("folding", "0.0"),
    ]


def test_reports_and_dashboards_show_them(old, tmp_path):
    shown = {title: old[title] for title in WITH_MODEL}
    html = Report(old["finished"].task, shown).write(tmp_path / "report.html").read_text()
    assert "did not change while frozen" in html
    for run in shown.values():
        assert json.dumps(result_facts(run, run.state))
        assert "unchanged" in " ".join(run.receipt().values())


def test_models_predict_as_they_did(old):
    for title in WITH_MODEL:
        run = old[title]
        samples = list(run.recipe.task.split("val"))
        answers = run.predict([run.task.image(sample) for sample in samples])
        for answer, (_, _, probabilities) in zip(answers, run.predictions("val"), strict=True):
            assert list(answer.probabilities.values()) == pytest.approx(probabilities, abs=1e-3)


def test_they_are_explained(old):
    found = nt.explain(old["finished"], list(old["finished"].recipe.task.split("test"))[:1])
    assert abs(found.examples[0].finding.change.residual) < 1e-4


def test_they_are_exported_for_others(old, tmp_path):
    folder = old["finished"].export(tmp_path / "again")
    assert nt.load_model(folder).classes == ("blue", "green", "red")


def test_their_export_answers_its_sample(folders, tmp_path):
    model = nt.load_model(tmp_path / "export")
    assert nt.predict(model, tmp_path / "images" / "red" / "0.png")[0].label in model.classes


def test_their_code_is_still_not_trusted_until_somebody_says_so(old):
    with pytest.raises(CodeError, match="trust"):
        old["code"].model()
    old["code"].trust_code()
    assert len(old["code"].model().classes) == 3


def test_their_caches_are_listed_and_cleared(folders):
    assert "efficientnet_lite0" in repr(nt.caches())
    size = nt.caches()[0].bytes
    assert nt.clear_caches() >= size
    assert not nt.caches()


def go_on(run):
    """What a worker would say that is stopped before its first step."""
    return list(carry_out(run.recipe, run.paths, stop_after(1), run.state, runs.read_repeat(run.paths)))


def test_a_killed_run_goes_on_from_the_very_bits_of_its_checkpoint(old):
    run = old["killed"]
    name = checkpoints.newest_first(run.paths.checkpoints)[0]
    before, facts = checkpoint.load(run.paths.checkpoints / name)
    assert "format" not in facts
    said = go_on(run)
    resumed = next(event for event in said if isinstance(event, ev.Resumed))
    assert (resumed.checkpoint, resumed.step) == (name, facts["progress"]["step"])
    newest = checkpoints.newest_first(run.paths.checkpoints)[0]
    after, now = checkpoint.load(run.paths.checkpoints / newest)
    assert newest != name
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert now == {**facts, "format": CHECKPOINT, "layers": layers_digest(nt.backbone(run.recipe.backbone))}


def test_a_journal_of_two_versions_is_read_whole(old):
    run = old["killed"]
    said, rows = go_on(run), len(run.history())
    journal = JournalWriter(run.paths.events, 2)
    for event in [ev.Starting(1, "h", "3"), *said]:
        journal.append(event)
    journal.close()
    state = fold(JournalReader(run.paths.events).read())
    assert (state.status, state.attempt, state.newer) == ("stopped", 2, False)
    assert len(state.history) <= rows
    assert json.loads(run.paths.spec.read_text())["format"] == 1


def test_a_run_whose_worker_has_left_takes_commands(old):
    run = old["left"]
    run.resume()
    run.stop()
    state = run.wait(PATIENCE)
    assert state.status == "stopped", run.log()
    assert run.model().classes == ("blue", "green", "red")


class TestOtherFormats:
    def rewritten(self, run, **changes):
        """Its checkpoints as another version would have written them, with the right digests."""
        folders = list(run.paths.checkpoints.iterdir())
        for folder in folders:
            tensors, facts = checkpoint.load(folder)
            checkpoint.save(folder, tensors, {**facts, **changes})
        return {folder.name for folder in folders}

    @pytest.mark.parametrize("changes", [{"format": CHECKPOINT + 1}, {"tally": {}}, {"changes": "few"}])
    def test_a_checkpoint_of_another_version_is_refused_and_left_where_it_is(self, old, changes):
        run = old["killed"]
        names = self.rewritten(run, **changes)
        with pytest.raises(
            FormatError, match=r"resume the run with the version that wrote it, or start it again with .*repeat"
        ):
            go_on(run)
        assert {path.name for path in run.paths.checkpoints.iterdir()} == names

    def test_resume_refuses_it_before_a_worker_starts(self, old):
        run = old["killed"]
        names, attempt = self.rewritten(run, format=CHECKPOINT + 1), run.state.attempt
        with pytest.raises(FormatError, match="resume the run with the version that wrote it"):
            run.resume()
        assert run.state.attempt == attempt
        assert not list(run.paths.control.iterdir())
        assert {path.name for path in run.paths.checkpoints.iterdir()} == names

    def test_a_damaged_one_is_still_put_aside(self, old):
        run = old["killed"]
        newest, before = checkpoints.newest_first(run.paths.checkpoints)[:2]
        (run.paths.checkpoints / newest / "state.safetensors").write_bytes(b"")
        said = go_on(run)
        assert next(e for e in said if isinstance(e, ev.Resumed)).checkpoint == before
        assert any("it is put aside, and the one before is used" in e.message for e in said if isinstance(e, ev.Warned))

    def test_a_run_that_a_newer_version_went_on_with_takes_no_commands(self, old):
        run = old["left"]
        journal = JournalWriter(run.paths.events, 2)
        journal.append(ev.Starting(1, "h", "3", format=99))
        journal.close()
        assert "update nbtransfer" in run.state.warnings[-1]
        for ask in (run.resume, run.stop, lambda: repeat(run)):
            with pytest.raises(RunError, match="update nbtransfer"):
                ask()
        assert not list(run.paths.control.iterdir())

    def test_an_export_of_a_newer_version_is_refused(self, folders, tmp_path):
        facts = tmp_path / "export" / "model.json"
        facts.write_text(facts.read_text().replace('"format": 1', '"format": 99'))
        with pytest.raises(nt.NbTransferError, match=r"has format 99, and this nbtransfer reads up to \d; update nbtransfer"):
            nt.load_model(tmp_path / "export")
