"""What is frozen, computed once."""

from __future__ import annotations

import pytest
import torch

import nbtransfer as nt
from nbtransfer.engine.cache import prefix
from nbtransfer.engine.device import Device
from nbtransfer.engine.model.transfer_model import build


class TestPrefix:
    def test_the_largest_batch_that_fits_is_looked_for_once(self, recipe, monkeypatch):
        """A stand-in for a GPU whose memory holds five images."""
        card = nt.backbone(recipe.backbone)
        model, device, x = build(recipe, card)[0].eval(), Device(torch.device("cpu"), "fp32"), torch.rand(16, 3, 40, 40)
        expected, sizes, run = model.features(x).detach(), [], prefix.Prefix._run

        def small(self, model, x, device):
            sizes.append(len(x))
            if len(x) > 5:
                raise torch.cuda.OutOfMemoryError("out of memory")
            return run(self, model, x, device)

        monkeypatch.setattr(prefix.Prefix, "_run", small)
        made = prefix.Prefix(model, 0, len(card.stages), fold=False)
        assert torch.allclose(made(x, device), expected, atol=1e-6)
        assert sizes == [16, 8, 4, 4, 4, 4]
        assert torch.allclose(made(x[:6], device), expected[:6], atol=1e-6)
        assert sizes[6:] == [4, 2]
        monkeypatch.setattr(
            prefix.Prefix, "_run", lambda *_: (_ for _ in ()).throw(torch.cuda.OutOfMemoryError("out of memory"))
        )
        with pytest.raises(torch.cuda.OutOfMemoryError):
            made(x, device)
