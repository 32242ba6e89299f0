"""Activations are computed and written: images and disks that fail."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.engine.cache import activations, boundary
from nbtransfer.errors import RunError
from nbtransfer.store import caches, runs
from tests.support.commands import stop_after
from tests.support.sessions import new_session
from tests.support.training import decided, of, told, trained


class TestImages:
    @pytest.mark.parametrize("split", ["train", "val"])
    def test_one_that_cannot_be_decoded_is_left_out_and_named_once(self, images, frozen, split):
        sample = next(s for s in frozen.task.samples if s.split == split)
        (images / sample.source).unlink()
        plain, kept = trained(replace(frozen, cache="off")), trained(frozen)
        again = trained(frozen)
        for one, other in zip(plain[0], kept[0], strict=True):
            assert one == pytest.approx(other, abs=1e-5)
        assert kept[:2] == again[:2]
        for events in (plain[2], kept[2], again[2]):
            assert of(events, ev.ImageSkipped) == [ev.ImageSkipped(sample.source, split, "it is gone")]

    def test_one_that_changed_after_it_was_cached(self, images, frozen):
        trained(frozen)
        sample = frozen.task.samples[0]
        (images / sample.source).write_bytes(b"something else")
        events = trained(frozen)[2]
        assert of(events, ev.ImageSkipped)[0].reason == "it changed after the task was made"
        remade = replace(frozen, task=nt.Task.from_folder(images, holdout=0.25, unreadable="skip"))
        assert "computed once" in decided(trained(remade)[2])[0].reason

    def test_one_that_can_be_decoded_again_is_used_again(self, images, frozen):
        """It failed while the others were cached: a drive was away, say."""
        first = trained(frozen)
        caches.clear()
        sample = next(s for s in frozen.task.samples if s.split == "train")
        file = images / sample.source
        file.rename(file.with_suffix(".away"))
        trained(frozen)
        file.with_suffix(".away").rename(file)
        again = trained(frozen)
        assert of(again[2], ev.ImageSkipped) == []
        assert again[:2] == first[:2]
        assert len(caches.caches()) == 1

    def test_nor_is_it_missing_behind_a_later_boundary(self, images, frozen):
        sample = next(s for s in frozen.task.samples if s.split == "train")
        file = images / sample.source
        file.rename(file.with_suffix(".away"))
        trained(replace(frozen, freeze=FreezePlan.up_to("shufflenet_v2_x0_5", "stage3")))
        file.with_suffix(".away").rename(file)
        assert of(trained(frozen)[2], ev.ImageSkipped) == []

    def test_none_that_can_be_decoded(self, images, frozen):
        for sample in frozen.task.split("train"):
            (images / sample.source).unlink()
        with pytest.raises(nt.NbTransferError, match="none of the training images"):
            told(frozen)


class TestDisk:
    @pytest.mark.parametrize("block", ["file", "link to nowhere"])
    def test_a_folder_that_cannot_be_written(self, frozen, home, block):
        home.mkdir(parents=True, exist_ok=True)
        if block == "file":
            (home / "caches").write_text("in the way")
        else:
            (home / "caches").symlink_to(home / "gone")
        kept, plain = trained(frozen), trained(replace(frozen, cache="off"))
        assert "are kept in memory, for this run only" in of(kept[2], ev.Warned)[-1].message
        for one, other in zip(plain[0], kept[0], strict=True):
            assert one == pytest.approx(other, abs=1e-5)

    @pytest.mark.parametrize("memory", [10**12, 0])
    def test_a_disk_that_is_full(self, frozen, monkeypatch, memory):
        def full(writer, rows):
            if writer._file is not None:
                raise OSError(errno.ENOSPC, "No space left on device")
            original(writer, rows)

        original = activations.Writer.add
        monkeypatch.setattr(activations.Writer, "add", full)
        monkeypatch.setattr(boundary, "available_memory", lambda: memory)
        events = trained(frozen)[2]
        if memory:
            assert "No space left" in of(events, ev.Warned)[-1].message
        else:
            assert "cannot be kept" in decided(events)[-1].reason
        assert isinstance(events[-1], ev.Finished)
        assert caches.caches() == ()

    def test_a_head_that_is_solved_for_needs_room_somewhere(self, recipe, home, monkeypatch):
        home.mkdir(parents=True, exist_ok=True)
        (home / "caches").write_text("in the way")
        monkeypatch.setattr(boundary, "available_memory", lambda: 0)
        with pytest.raises(RunError, match="use probe='sgd'"):
            told(replace(recipe, strategy="lp"))

    def test_what_was_left_half_written_is_never_read(self, frozen, home):
        session = new_session(frozen)
        work = session.run_phase(0)
        while not isinstance(next(work), ev.Computing):
            pass
        drafts = list((home / "caches").glob(".tmp-*"))
        assert len(drafts) == 1
        assert caches.caches() == ()
        work.close()
        assert list((home / "caches").glob(".tmp-*")) == []

    def test_abandoned_drafts_go_when_the_key_is_built_again(self, frozen, home):
        trained(frozen)
        key = caches.caches()[0].key
        caches.clear()
        draft = home / "caches" / f".tmp-0123456789ab-{key}"
        draft.mkdir()
        (draft / "train.bin").write_bytes(b"half")
        trained(frozen)
        assert [p.name for p in (home / "caches").iterdir()] == [key]

    def test_stopping_while_it_is_computed(self, frozen):
        events = list(told(frozen, runs.create(frozen), stop_after(2)))
        assert isinstance(events[-1], ev.Stopped)
        assert caches.caches() == ()
