"""Image models of Hugging Face transformers, as their own library writes them into the hub's cache."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save

import nbtransfer as nt
from nbtransfer.commands import completion
from nbtransfer.commands.parsing import CommandContext
from nbtransfer.engine.data.preprocess import Normalise, resize_and_crop
from nbtransfer.errors import BackboneError, MissingExtraError, RecipeError, WeightsError
from nbtransfer.pretrained import registry, transformers_disk, transformers_models
from nbtransfer.pretrained.transformers_disk import FAMILIES
from tests.support.hub_models import COMMIT, PROCESSORS, files_of, place

OTHERS = [kind for kind in FAMILIES if kind not in ("vit", "dinov2")]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of the hub that holds a small ViT and a small DINOv2, and no network."""
    from huggingface_hub import constants

    folder = tmp_path / "huggingface"
    monkeypatch.setenv("HF_HOME", str(folder))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for kind in ("vit", "dinov2"):
        place(folder, f"org/{kind}", files_of(kind))
    return folder


def reference(kind, snapshot):
    """The model as transformers loads it, and its features."""
    import transformers

    family = FAMILIES[kind]
    whole = transformers.AutoConfig.from_pretrained(snapshot)
    config = getattr(whole, family.part) if family.part else whole
    net = getattr(transformers, family.model).from_pretrained(snapshot, config=config, **family.options).eval()

    @torch.no_grad()
    def features(images, **options):
        found = net(images, **options)
        return found.pooler_output.flatten(1) if family.pooled else found.last_hidden_state[:, 0]

    return features


def assert_same_as_in_its_library(kind, snapshot):
    card = nt.backbone(f"transformers/org/{kind}")
    backbone = registry.build(card, "default").module.eval()
    x = torch.randn(2, 3, *card.input.shape)
    with torch.no_grad():
        whole = backbone(x)
        assert torch.equal(whole, reference(kind, snapshot)(x))
        for boundary in range(len(card.stages) + 1):
            assert torch.equal(backbone.pool(backbone.run(backbone.run(x, 0, boundary), boundary)), whole)
    return card


@pytest.mark.parametrize(("kind", "encoder", "blocks"), [("vit", "layers", 3), ("dinov2", "encoder.layer", 3)])
def test_features_are_those_of_its_library_whole_and_in_parts(cache, kind, encoder, blocks):
    card = assert_same_as_in_its_library(kind, cache / f"hub/models--org--{kind}/snapshots/{COMMIT}")
    assert card.stages == ("stem", *(f"{encoder}.{number}" for number in range(blocks)), "layernorm")
    assert (card.origin, card.width, card.licence) == ("transformers", 32, "apache-2.0")
    assert card.params == sum(layer.params for layer in card.layers)
    assert not any("mask_token" in layer.name or layer.name == "pooler" for layer in card.layers)
