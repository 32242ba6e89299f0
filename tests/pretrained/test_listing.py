"""Choosing among thousands of backbones, without loading any."""

import random
import re
import subprocess
import sys

import pytest

import nbtransfer as nt
from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.backbone_list import MOST_ROWS
from nbtransfer.core.outlines import BackboneOutline, decode, encode, outlines
from nbtransfer.errors import BackboneError
from nbtransfer.pretrained import timm_models
from nbtransfer.pretrained.outlines import of_timm

DINO = "timm/vit_small_patch14_dinov2.lvd142m"


def names(*args, **limits):
    return [entry.name for entry in nt.backbones(*args, **limits)]


def test_without_arguments_only_what_needs_no_extra_is_listed():
    assert all(isinstance(entry, BackboneCard) for entry in nt.backbones())
    assert {"resnet18", "efficientnet_lite2"} <= set(names())


def test_every_word_narrows_the_search_in_any_case():
    assert DINO in names("dinov2")
    assert set(names("DINOv2 small")) < set(names("dinov2"))
    assert all("dinov2" in name and "small" in name for name in names("dinov2 small"))
    assert {"resnet18", "timm/resnet18.a1_in1k"} <= set(names("resnet18"))


def test_limits_hold_for_every_source():
    found = nt.backbones(max_params=3e6, max_multiply_adds=1e9, max_size=224)
    assert {type(entry) for entry in found} == {BackboneCard, BackboneOutline}
    for entry in found:
        assert entry.params <= 3e6
        assert entry.multiply_adds <= 1e9
        assert max(entry.shape) <= 224
    assert all("nc" in entry.licence.casefold() for entry in nt.backbones(licence="-NC"))
    assert nt.backbones(licence="-NC")


@pytest.mark.parametrize("limit", ["max_params", "max_multiply_adds", "max_size"])
def test_a_limit_is_above_zero(limit):
    with pytest.raises(BackboneError, match=f"{limit} is 0; give a number above 0"):
        nt.backbones(**{limit: 0})


def test_weights_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    packaged = ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
    assert names(downloaded=True) == packaged
    for file in (
        tmp_path / "torch/hub/checkpoints" / nt.backbone("resnet18").weights[0].file,
        tmp_path / "hub/hub/models--timm--vit_small_patch14_dinov2.lvd142m/snapshots/0123/model.safetensors",
    ):
        file.parent.mkdir(parents=True)
        file.touch()
    assert names(downloaded=True) == [*packaged, "resnet18", DINO]


def test_a_long_list_says_how_many_are_not_printed():
    found = nt.backbones("timm/")
    text = repr(found)
    more = re.search(r"… and ([\d,]+) others; write more of the name", text)
    assert int(more[1].replace(",", "")) == len(found) - MOST_ROWS
    assert more[0] in found._repr_html_()
    assert "others" not in repr(nt.backbones("resnet18"))


def test_a_name_without_its_prefix_leads_to_timm():
    with pytest.raises(BackboneError, match="did you mean 'timm/vit_small_patch14_dinov2'"):
        nt.backbone("vit_small_patch14_dinov2")


def test_searching_loads_no_framework():
    code = "import sys, nbtransfer as nt; nt.backbones('vit', downloaded=True); print({'torch', 'timm'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_an_outline_says_what_the_card_will_say():
    for name in ("timm/vit_tiny_patch16_224.augreg_in21k", "timm/resnet10t.c3_in1k"):
        outline = next(entry for entry in outlines() if entry.name == name)
        card = nt.backbone(name)
        for what in ("name", "params", "multiply_adds", "shape", "licence"):
            assert getattr(outline, what) == getattr(card, what), what


def test_every_outline_survives_its_file():
    assert all(decode(encode(entry)) == entry for entry in outlines())


def test_the_file_is_what_the_installed_timm_has(monkeypatch):
    """Of a few architectures; the generator goes through all."""
    library = timm_models.timm()
    some = random.Random(0).sample([name for name in library.list_models() if "tiny" in name or "nano" in name], 4)
    pretrained = [name for name in library.list_pretrained() if name.partition(".")[0] in some]
    monkeypatch.setattr(library, "list_models", lambda: some)
    monkeypatch.setattr(library, "list_pretrained", lambda: pretrained)
    assert {entry for entry in outlines() if entry.name.removeprefix("timm/").partition(".")[0] in some} == set(of_timm())
