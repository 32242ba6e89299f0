"""Run folders that an older or a newer nbtransfer has written: said, and never written to."""

from __future__ import annotations

import pytest

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.core.formats.numbers import RUN
from nbtransfer.errors import RunError
from nbtransfer.jobs.launcher import repeat
from nbtransfer.store import runs
from nbtransfer.store.journal import JournalWriter
from tests.support.runs import recipe


def contents(folder):
    """Every file with its bytes and the time it was last changed."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("number", "why"), [("0", "restore"), ("99", "update"), ('"later"', "restore"), ("null", "restore")])
def test_a_run_of_another_format_is_refused_and_left_as_it_is(images, number, why):
    paths = runs.create(recipe(images))
    journal = JournalWriter(paths.events, 1)
    journal.append(ev.Starting(1, "h", "3"))
    journal.close()
    paths.spec.write_text(paths.spec.read_text().replace(f'"format": {RUN}', f'"format": {number}'))
    before, folders = contents(paths.root), sorted(paths.root.rglob("*"))
    run = nt.attach(paths.id)
    assert run.state.status == "lost"
    asked = (run.resume, run.stop, run.pause, run.checkpoint, lambda: run.set_lr(0.1), lambda: run.freeze("stem"))
    for ask in (*asked, run.model, lambda: run.recipe, lambda: repeat(run)):
        with pytest.raises(RunError, match=why):
            ask()
    run.kill()
    assert f"{run.id}  unreadable" in repr(nt.runs())
    assert contents(paths.root) == before
    assert sorted(paths.root.rglob("*")) == folders
    assert len(nt.runs()) == 1
