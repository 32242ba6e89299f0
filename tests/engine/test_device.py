"""What a device has, and what it can."""

from __future__ import annotations

import pytest
import torch

from nbtransfer.engine import device


class TestDevice:
    def test_auto_finds_one(self):
        chosen = device.choose("auto", "auto")
        assert chosen.torch.type in ("cpu", "cuda", "mps")
        assert chosen.precision in device.DTYPES
        assert chosen.name

    def test_mixed_precision_computes_in_it(self):
        a = torch.rand(4, 4)
        with device.Device(torch.device("cpu"), "bf16").autocast():
            assert (a @ a).dtype is torch.bfloat16
        with device.Device(torch.device("cpu"), "bf16").in_fp32().autocast():
            assert (a @ a).dtype is torch.float32

    def test_threads(self):
        before = torch.get_num_threads()
        assert device.use_threads(1) == 1
        assert device.use_threads(None) >= 1
        torch.set_num_threads(before)


class TestMemory:
    @pytest.mark.parametrize(("limit", "left"), [("1000", 1000 - 700 + 200), ("max", None), ("10", 0)])
    def test_a_container_has_less(self, tmp_path, monkeypatch, limit, left):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text("700\n")
        (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 200\n")
        if limit == "10":
            (tmp_path / "memory.stat").write_text("inactive_file 0\n")
        monkeypatch.setattr(device, "CONTAINERS", ((tmp_path, "memory.max", "memory.current", "inactive_file"),))
        available = device.available_memory()
        assert available == left if left is not None else available > 10**6
