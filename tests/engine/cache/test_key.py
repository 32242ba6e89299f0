"""What makes activations others than those that are kept."""

from __future__ import annotations

import importlib.metadata
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.core.code import Code
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.engine.cache import key
from nbtransfer.engine.cache.boundary import Boundary
from nbtransfer.engine.device import Device
from nbtransfer.engine.versions import computing_versions
from nbtransfer.store import caches
from tests.support.sessions import new_session
from tests.support.training import STAGES, decided, of, trained


class TestKey:
    @pytest.mark.parametrize(
        "change",
        [
            {"seed": 1},
            *(
                pytest.param(change, marks=pytest.mark.slow)
                for change in (
                    {"precision": "bf16"}, {"image_size": 48}, {"crop": 0.5}, {"augment": ()}, {"cache_dtype": "fp16"},
                    {"fold": True}, {"freeze": FreezePlan.up_to("shufflenet_v2_x0_5", "stage3")}, {"batch_size": 4},
                )
            ),
        ],
        ids=str,
    )  # fmt: skip
    def test_whatever_matters_is_in_the_key(self, frozen, change):
        """Another seed means other random weights. Each fact is in a test of its own; this one computes activations."""
        trained(replace(frozen, epochs=1))
        events = trained(replace(frozen, epochs=1, **change))[2]
        assert "computed once" in decided(events)[0].reason
        assert len(caches.caches()) == 2

    def test_a_copy_of_the_images_uses_the_cache_and_changed_images_do_not(self, frozen, tmp_path):
        trained(frozen)
        root = Path(shutil.copytree(frozen.task.root, tmp_path / "copy"))
        copied = replace(frozen, task=replace(frozen.task, root=str(root)))
        assert "computed before" in decided(trained(copied)[2])[0].reason
        changed, other = (root / sample.source for sample in frozen.task.samples[:2])
        changed.write_bytes(other.read_bytes())
        skipped = of(trained(copied)[2], ev.ImageSkipped)
        assert [(e.source, e.reason) for e in skipped] == [
            (frozen.task.samples[0].source, "it changed after the task was made")
        ]

    def test_what_does_not_matter_is_not(self, frozen):
        trained(frozen)
        others = {"epochs": 1, "lr": 0.1, "optimiser": "sgd", "title": "x", "weight_decay": 0.3}
        assert "computed before" in decided(trained(replace(frozen, **others))[2])[0].reason

    @pytest.mark.parametrize(
        "change",
        [
            {"backbone": "shufflenet_v2_x1_0"}, {"augment": ("flip_vertical",)}, {"views": 3}, {"image_size": 48},
            {"crop": 0.5}, {"batch_size": 4}, {"cache_dtype": "bf16"}, {"fold": True}, {"precision": "bf16"}, {"seed": 3},
            {"transform": "own.twice"}, "manifest", "device", "versions",
        ],
        ids=str,
    )  # fmt: skip
    def test_each_fact_of_the_key(self, frozen, change, monkeypatch):
        """With the same weights: other ones have another key in any case."""
        code = Code("own", "def once(image):\n    return image\n\ndef twice(image):\n    return image\n")
        nt.code(code.name, code.source)
        frozen = replace(frozen, transform="own.once", views=2, code=(code,))
        monkeypatch.setattr(key.CacheKeys, "_digests", ["the same"] * len(STAGES))

        def key_of(recipe):
            return Boundary(new_session(recipe).context, 4, "").key

        before = key_of(frozen)
        assert key_of(frozen) == before
        if isinstance(change, dict):
            assert key_of(replace(frozen, **change)) != before
        elif change == "manifest":
            first, *rest = frozen.task.samples
            later = replace(first, digest="another")
            assert key_of(replace(frozen, task=replace(frozen.task, samples=(later, *rest)))) != before
        elif change == "versions":
            monkeypatch.setattr(key, "computing_versions", lambda _: ["another"])
            assert key_of(frozen) != before
        else:
            session = new_session(frozen)
            session.context.device = Device(torch.device("meta"), "fp32")
            assert Boundary(session.context, 4, "").key != before

    def test_the_library_that_computes_is_in_the_key(self):
        assert computing_versions("timm")[-1] == importlib.metadata.version("timm")
        assert len(computing_versions("timm")) == len(computing_versions("torchvision")) + 1

    def test_weights_that_changed_on_the_disk(self, frozen, tmp_path):
        from nbtransfer.pretrained import torchvision_models

        file = tmp_path / "own.pth"
        state = torchvision_models.build("shufflenet_v2_x0_5", 40).state_dict()
        torch.save(state, file)
        recipe = replace(frozen, weights=str(file), epochs=1)
        trained(recipe)
        torch.save({k: 1.01 * v if v.is_floating_point() else v for k, v in state.items()}, file)
        assert "computed once" in decided(trained(recipe)[2])[0].reason
