"""One checkpoint on the disk."""

from __future__ import annotations

import pytest
import torch

from nbtransfer.engine.checkpoints import checkpoint
from nbtransfer.errors import CheckpointError
from nbtransfer.store import checkpoints


class TestCheckpoints:
    def saved(self, folder):
        checkpoint.save(folder, {"w": torch.arange(6.0)}, {"step": 3})
        return folder

    def test_what_goes_in_comes_out(self, tmp_path):
        tensors, facts = checkpoint.load(self.saved(tmp_path / "c"))
        assert torch.equal(tensors["w"], torch.arange(6.0))
        assert facts == {"step": 3}
        assert [p.name for p in tmp_path.iterdir()] == ["c"]

    def test_it_replaces_what_was_there(self, tmp_path):
        self.saved(tmp_path / "c")
        checkpoint.save(tmp_path / "c", {"w": torch.zeros(1)}, {})
        assert checkpoint.load(tmp_path / "c")[0]["w"].shape == (1,)

    @pytest.mark.parametrize("damage", ["flip", "truncate", "no tensors", "no facts", "junk facts"])
    def test_damage_is_noticed(self, tmp_path, damage):
        folder = self.saved(tmp_path / "c")
        tensors, facts = folder / checkpoint.TENSORS, folder / checkpoints.FACTS
        raw = bytearray(tensors.read_bytes())
        match damage:
            case "flip":
                raw[-1] ^= 1
                tensors.write_bytes(raw)
            case "truncate":
                tensors.write_bytes(raw[:-3])
            case "no tensors":
                tensors.unlink()
            case "no facts":
                facts.unlink()
            case "junk facts":
                facts.write_text("{")
        with pytest.raises(CheckpointError):
            checkpoint.load(folder)

    def test_a_failed_write_leaves_nothing(self, tmp_path):
        with pytest.raises(TypeError):
            checkpoint.save(tmp_path / "c", {"w": torch.zeros(1)}, {"x": object()})
        assert list(tmp_path.iterdir()) == []
