"""Names, order and facts of checkpoints."""

from __future__ import annotations

import pytest

from nbtransfer.core.formats.numbers import CHECKPOINT
from nbtransfer.errors import FormatError
from nbtransfer.store import checkpoints


def write(folder, number=CHECKPOINT):
    folder.mkdir()
    checkpoints.write_facts(folder, {"format": number})


def test_pruning_keeps_the_newest_and_the_named(tmp_path):
    names = []
    for n in (0, 1, 2, 2, 2, 3):
        names.append(checkpoints.name_for(tmp_path, n))
        write(tmp_path / names[-1])
    assert names[2:] == ["step-00000002", "step-00000002-01", "step-00000002-02", "step-00000003"]
    assert checkpoints.newest_first(tmp_path) == names[::-1]
    (tmp_path / "notes").mkdir()
    checkpoints.prune(tmp_path, 2, frozenset({"step-00000001"}))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes", "step-00000001", *names[-2:]]


class TestOtherFormats:
    def test_the_newest_that_is_whole_decides(self, tmp_path):
        write(tmp_path / "step-00000001", CHECKPOINT + 1)
        write(tmp_path / "step-00000002")
        write(tmp_path / "step-00000003", CHECKPOINT + 1)
        facts = tmp_path / "step-00000003" / checkpoints.FACTS
        facts.write_text(facts.read_text().replace(str(CHECKPOINT + 1), str(CHECKPOINT + 2)))  # its digest does not fit
        checkpoints.require_resumable(tmp_path)

    def test_another_version_is_refused(self, tmp_path):
        write(tmp_path / "step-00000001")
        write(tmp_path / "step-00000002", CHECKPOINT + 1)
        with pytest.raises(FormatError, match=f"step-00000002 has format {CHECKPOINT + 1}.*version that wrote it"):
            checkpoints.require_resumable(tmp_path)

    def test_without_a_checkpoint_there_is_nothing_to_refuse(self, tmp_path):
        checkpoints.require_resumable(tmp_path)
