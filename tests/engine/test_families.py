"""Runs with and without a cache come to the same, whatever the architecture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.engine.model.transfer_model import build
from nbtransfer.pretrained import cards
from tests.support.families import SIZES, each, register_tiny
from tests.support.training import of, trained


@pytest.fixture(scope="module", autouse=True)
def tiny():
    with pytest.MonkeyPatch.context() as patch:
        register_tiny(patch)
        yield


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """Eight noisy images to learn from and four to validate on, of two classes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBTRANSFER_HOME", str(tmp_path_factory.mktemp("arrays")))
        images = np.random.default_rng(0).integers(0, 255, (12, 48, 48, 3), dtype=np.uint8)
        return nt.Task.from_arrays(images, np.arange(12) % 2, holdout=1 / 3)


def size_for(card):
    """Pixels: few, but what the architecture takes."""
    return card.input.size if card.fixed_size else max(SIZES[card.name], card.min_size)


@pytest.mark.parametrize("name", each())
def test_the_same_losses_and_weights(task, name):
    """Frozen to the middle; two full batches.

    Bit for bit, unless functions of torch compute other last bits for another place in the batch: then closely.
    """
    card = cards.card(name)
    stage = card.stages[len(card.stages) // 2]
    recipe = nt.Recipe(
        task=task, backbone=name, weights=None, strategy="ft", freeze=FreezePlan.up_to(card, stage), epochs=1, batch_size=4,
        image_size=size_for(card), augment=(), device="cpu", precision="fp32", probe="sgd", fold=False, cache="on",
    )  # fmt: skip
    plain, kept = trained(replace(recipe, cache="off")), trained(recipe)
    assert next(e for e in of(kept[2], ev.Decided) if e.subject == "cache").choice == stage
    if plain[:2] != kept[:2]:
        assert depends_on_the_place(recipe, card, stage)
        for one, other in zip(plain[0], kept[0], strict=True):
            assert one == pytest.approx(other, abs=1e-5)


def depends_on_the_place(recipe, card, stage):
    """Whether an image is computed in the same bits wherever it stands in a batch; if not, caches cannot be exact."""
    model = build(recipe, card)[0].to(memory_format=torch.channels_last).eval()
    x = torch.rand(4, 3, *[size_for(card)] * 2).contiguous(memory_format=torch.channels_last)
    end = card.stages.index(stage) + 1
    with torch.no_grad():
        there, back = model.features(x, 0, end), model.features(x.flip(0).contiguous(memory_format=torch.channels_last), 0, end)
    return not torch.equal(there, back.flip(0))
