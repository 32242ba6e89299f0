"""Weights come from where the card says, or from a file of one's own; verified, and never able to execute code."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

import nbtransfer as nt
from nbtransfer.core import catalog
from nbtransfer.errors import BackboneError, InputError, MissingExtraError, WeightsError
from nbtransfer.pretrained import cards, foreign, registry, timm_models, torchvision_models, weights

SMALL = "shufflenet_v2_x0_5"


@pytest.fixture
def net():
    torch.manual_seed(1)
    return torchvision_models.build(SMALL, 224)


class Evil:
    """A pickle of this makes a folder when it is loaded."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def own(path, name=SMALL):
    return registry.build(catalog.card(name), str(path), own_file=True)


class TestOwnFiles:
    @pytest.mark.parametrize("suffix", [".pth", pytest.param(".pt", marks=pytest.mark.slow), ".safetensors"])
    def test_any_plain_file_of_the_same_architecture(self, tmp_path, net, suffix):
        path = tmp_path / f"w{suffix}"
        save_file(net.state_dict(), path) if suffix == ".safetensors" else torch.save(net.state_dict(), path)
        built = own(path)
        assert torch.equal(built.module.stem.conv1[0].weight, net.conv1[0].weight)
        assert torch.equal(built.module.conv5[1].running_var, net.conv5[1].running_var)
        assert built.digest == weights.file_digest(path)

    def test_wrapped_and_with_another_classifier(self, tmp_path, net):
        net.fc = torch.nn.Linear(1024, 7)
        state = {f"module.{name}": tensor for name, tensor in net.state_dict().items()}
        torch.save({"epoch": 3, "state_dict": state}, tmp_path / "w.pth")
        assert torch.equal(own(tmp_path / "w.pth").module.stem.conv1[0].weight, net.conv1[0].weight)

    @pytest.mark.parametrize("name", [SMALL, "resnet18", "mobilenet_v2"])
    @pytest.mark.parametrize("prefix", ["", "backbone."])
    def test_a_model_of_ours_is_of_the_same_architecture(self, tmp_path, name, prefix):
        """Its layers have the names of their stages."""
        trained = registry.build(catalog.card(name), None, seed=3).module.state_dict()
        save_file(
            {**{prefix + key: tensor for key, tensor in trained.items()}, "head.bias": torch.zeros(2)},
            tmp_path / "w.safetensors",
        )
        found = registry.build(catalog.card(name), str(tmp_path / "w.safetensors"), own_file=True).module.state_dict()
        assert all(torch.equal(found[key], tensor) for key, tensor in trained.items())

    def test_one_inside_another_model(self, tmp_path, net):
        state = {f"module.net.{key}": tensor for key, tensor in net.state_dict().items()} | {
            "module.other.weight": torch.ones(1)
        }
        save_file(state, tmp_path / "w.safetensors")
        assert torch.equal(own(tmp_path / "w.safetensors").module.stem.conv1[0].weight, net.conv1[0].weight)

    def test_the_cause_is_told(self, tmp_path, net):
        state = net.state_dict()
        renamed = {f"layer{number}": tensor for number, tensor in enumerate(state.values())}
        part = {key: tensor for key, tensor in state.items() if not key.startswith("conv5")}
        for given, cause in (
            (
                {key: tensor for key, tensor in renamed.items() if tensor.shape[:1] != (1000,)},
                "the right shapes but other names",
            ),
            (part, "it is incomplete; save the whole state_dict"),
            (models.resnet18().state_dict(), "it was saved from another architecture"),
        ):
            save_file(given, tmp_path / "w.safetensors")
            with pytest.raises(WeightsError, match=cause):
                own(tmp_path / "w.safetensors")

    def test_another_architecture_is_told_by_name_and_shape(self, tmp_path):
        save_file(models.resnet18().state_dict(), tmp_path / "w.safetensors")
        with pytest.raises(WeightsError, match=r"does not fit .* missing: conv1.0.weight, .*unexpected: bn1"):
            own(tmp_path / "w.safetensors")

    def test_another_width_too(self, tmp_path):
        save_file(models.shufflenet_v2_x1_0().state_dict(), tmp_path / "w.safetensors")
        with pytest.raises(WeightsError, match=r"of another shape: .* is \(58, 24, 1, 1\), not \(24, 24, 1, 1\)"):
            own(tmp_path / "w.safetensors")

    def test_code_in_a_file_is_not_executed(self, tmp_path):
        marker = tmp_path / "executed"
        for name, write in (("a.pth", torch.save), ("b.pth", lambda x, p: p.write_bytes(pickle.dumps(x)))):
            write(Evil(str(marker)), tmp_path / name)
            with pytest.raises(
                WeightsError, match=r"cannot be read as plain weights \(it (holds objects of Python|is damaged)"
            ):
                own(tmp_path / name)
        assert not marker.exists()

    @pytest.mark.parametrize(
        ("suffix", "content"),
        [
            (".pth", b"<html>sign in</html>"),
            *(pytest.param(".pth", content, marks=pytest.mark.slow) for content in (b"", b"PK\x03\x04 half a file")),
            *((".safetensors", content) for content in (b"", b"<html>sign in</html>", b"PK\x03\x04 half a file")),
        ],
    )
    def test_files_that_hold_no_weights(self, tmp_path, suffix, content):
        path = tmp_path / f"w{suffix}"
        path.write_bytes(content)
        with pytest.raises(
            WeightsError,
            match=r"cannot be read as plain weights \(it is damaged, or (no weights file|holds more than tensors)\)",
        ):
            own(path)

    def test_other_things_in_a_plain_file(self, tmp_path):
        torch.save({"a": 1}, tmp_path / "w.pth")
        with pytest.raises(WeightsError, match="contains no state dict of dense tensors"):
            own(tmp_path / "w.pth")
        with pytest.raises(WeightsError, match="there is no weights file"):
            own(tmp_path / "nowhere.pth")


class TestForeign:
    """Read in a process of its own, once."""

    def test_it_is_converted_once(self, tmp_path, net, home, monkeypatch):
        torch.save(net.state_dict(), tmp_path / "w.pth")
        first = own(tmp_path / "w.pth")
        (kept,) = (home / "weights").glob("*.safetensors")
        monkeypatch.setattr(foreign.subprocess, "run", None)
        again = own(tmp_path / "w.pth")
        assert again.digest == first.digest
        assert torch.equal(again.module.conv5[1].running_var, net.conv5[1].running_var)
        monkeypatch.undo()
        kept.write_bytes(kept.read_bytes()[:-4] + b"abcd")  # what was kept is not what it was
        assert torch.equal(own(tmp_path / "w.pth").module.conv5[1].running_var, net.conv5[1].running_var)

    def test_programs_are_refused(self, tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "w.pt")
        with pytest.raises(WeightsError, match="it contains a program, not just weights"):
            own(tmp_path / "w.pt")

    def test_a_zip_bomb_is_refused(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "w.pt", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data.pkl", bytes(50_000_000))
        with pytest.raises(WeightsError, match="it claims to contain more than its size allows"):
            own(tmp_path / "w.pt")

    def test_what_takes_too_much_memory_is_given_up(self, tmp_path):
        torch.save({"w": torch.zeros(1000)}, tmp_path / "w.pt")
        code = (
            "from pathlib import Path; import sys; from nbtransfer.pretrained import foreign; foreign.ROOM = 0; "
            "foreign.weights.read = lambda path: {'w': foreign.torch.zeros(10**9)}; foreign.convert(*map(Path, sys.argv[1:]))"
        )
        child = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "w.pt"), "x"], capture_output=True, text=True, check=False
        )
        assert child.returncode
        assert "memory" in child.stderr

    @pytest.mark.parametrize(
        "odd",
        [
            pytest.param(torch.eye(3).to_sparse(), id="sparse"),
            pytest.param(torch.zeros(3, dtype=torch.complex64), id="complex", marks=pytest.mark.slow),
        ],
    )
    def test_only_dense_tensors_of_numbers(self, tmp_path, odd):
        torch.save({"w": odd}, tmp_path / "w.pt")
        with pytest.raises(WeightsError, match="dense tensor"):
            own(tmp_path / "w.pt")

    @pytest.mark.parametrize(
        "content",
        [
            (2**62).to_bytes(8, "little") + b"{}",
            b"\x50" + bytes(7) + b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32"}}'.ljust(80),
            b"\x50" + bytes(7) + b'{"a":{"dtype":"F32","shape":[99],"data_offsets":[0,16]}}'.ljust(80) + bytes(16),
        ],
        ids=["header", "overlap", "size"],
    )
    def test_hostile_safetensors(self, tmp_path, content):
        (tmp_path / "w.safetensors").write_bytes(content)
        with pytest.raises(WeightsError, match="cannot be read as plain weights"):
            own(tmp_path / "w.safetensors")


class TestPublished:
    """The real loading code; the network is the only thing that is made up."""

    @pytest.fixture
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        return tmp_path / "hub" / "checkpoints"

    def test_no_network_names_the_file_and_its_place(self, cache, monkeypatch):
        def refuse(*args, **kwargs):
            raise OSError("Network is unreachable")

        monkeypatch.setattr(torch.hub, "urlopen", refuse)
        with pytest.raises(WeightsError) as caught:
            registry.build(catalog.card("resnet18"), "default")
        assert "resnet18-f37072fd.pth could not be downloaded (Network is unreachable)" in str(caught.value)
        assert f"put it into {cache}" in str(caught.value)
        assert list(cache.iterdir()) == []

    def test_a_proxys_login_page_is_not_taken_for_weights(self, cache, monkeypatch, tmp_path):
        page = tmp_path / "page"
        page.write_text("<html>please sign in</html>")
        real = torch.hub.urlopen
        monkeypatch.setattr(torch.hub, "urlopen", lambda *a, **k: real(page.as_uri()))
        with pytest.raises(WeightsError, match=r"could not be downloaded .*invalid hash value"):
            registry.build(catalog.card("resnet18"), "default")
        assert not (cache / "resnet18-f37072fd.pth").exists()

    def test_an_altered_file_in_the_cache_is_refused(self, cache):
        cache.mkdir(parents=True)
        (cache / "resnet18-f37072fd.pth").write_bytes(b"x")
        with pytest.raises(WeightsError, match=r"is not resnet18-f37072fd\.pth as published: its sha256 begins 2d711642"):
            registry.build(catalog.card("resnet18"), "default")

    def test_a_good_download_is_used(self, cache, monkeypatch, tmp_path, net):
        file = tmp_path / "w.pth"
        torch.save(net.state_dict(), file)
        card = catalog.card(SMALL)
        entry = weights.WeightsCard(**{**vars(card.weights[0]), "digest": weights.file_digest(file)[:8]})
        real = torch.hub.urlopen
        monkeypatch.setattr(torch.hub, "urlopen", lambda *a, **k: real(file.as_uri()))
        path = torchvision_models.weights_path(SMALL, entry)
        assert path == cache / entry.file
        assert torch.equal(weights.read(path)["conv1.0.weight"], net.conv1[0].weight)

    @pytest.mark.parametrize("name", timm_models.PACKAGED)
    def test_imagenet_weights_from_a_package_classify_as_published(self, name):
        """The real thing: logits through our stages equal those of timm's own model with the same weights."""
        card = catalog.card(name)
        built = registry.build(card, "default")
        state = weights.read(timm_models.packaged_file(name))
        reference = timm_models.build(name)
        reference.load_state_dict(dict(zip(reference.state_dict(), state.values(), strict=True)))
        x = torch.rand(2, 3, *card.input.shape) * 2 - 1
        with torch.no_grad():
            features = built.module.eval()(x)
            assert torch.equal(reference.eval().classifier(features), reference(x))
        assert built.digest == card.weights[0].digest

    def test_random_weights_depend_on_the_seed_alone(self):
        card = catalog.card(SMALL)
        before = torch.random.get_rng_state()
        one, two, other = (registry.build(card, None, seed=s).module.stem.conv1[0].weight for s in (1, 1, 2))
        assert torch.equal(one, two)
        assert not torch.equal(one, other)
        assert torch.equal(torch.random.get_rng_state(), before)


class TestTimm:
    def test_cards_of_any_model(self):
        card = nt.backbone("timm/vit_tiny_patch16_224")
        assert (card.width, card.input.size, card.fixed_size) == (192, 224, False)
        assert card.stages == ("stem", *(f"blocks.{number}" for number in range(12)), "norm")
        assert card.params == sum(layer.params for layer in card.layers)
        assert nt.backbones("timm/resnet10t")[0].name.startswith("timm/resnet10t")

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "least"),
        [
            ("test_byobnet", 5), ("test_convnext", 5), ("test_vit", 7), ("test_vit_relpos", 8), ("cpubone_nano", 4),
            ("csatv2", 8), ("cspnext_tiny", 5), ("repghostnet_050", 6), ("shvit_s1", 4), ("starnet_s050", 5),
            ("swiftformer_xs", 5), ("crossvit_tiny_240", 0),
        ],
    )  # fmt: skip
    def test_any_architecture_has_a_card(self, name, least):
        """One of each kind; `python -m benchmarks.cuts` goes through all modules of timm."""
        card = cards.card(f"timm/{name}")
        assert len(card.ends) >= least
        assert {layer.stage for layer in card.layers} == set(card.stages)
        assert card.params == sum(layer.params for layer in card.layers) > 0
        assert card.width > 0

    @pytest.mark.parametrize(
        ("name", "size", "why"),
        [
            ("timm/halonet26t", 64, r"fails on images of 64 × 64 px \(AssertionError\)"),
            ("timm/vit_tiny_patch16_224", 8, r"fails on images of 8 × 8 px"),
        ],
    )
    def test_a_size_that_fails_is_refused_before_a_worker_starts(self, images, name, size, why):
        recipe = nt.Recipe(task=nt.Task.from_folder(images), backbone=name, weights=None, image_size=size)
        with pytest.raises(InputError, match=why):
            nt.start(recipe)
        assert not nt.runs()

    @pytest.mark.slow
    @pytest.mark.parametrize("name", [f"timm/vit_small_patch16_rope_{kind}_224" for kind in ("mixed", "ape", "mixed_ape")])
    def test_a_model_whose_layers_read_values_has_a_card_all_the_same(self, name):
        card = nt.backbone(name)
        assert card.width == 384
        assert card.multiply_adds > 1e9

    def test_unknown(self):
        with pytest.raises(BackboneError, match="timm has no model 'resnet19'; did you mean"):
            nt.backbone("timm/resnet19")

    def test_without_timm_the_extra_is_named(self, monkeypatch):
        monkeypatch.setattr(timm_models.importlib.util, "find_spec", lambda _: None)
        with pytest.raises(MissingExtraError, match=r"pip install 'nbtransfer\[timm\]'"):
            nt.backbone("timm/resnet26")

    @pytest.mark.parametrize("name", ["timm/resnet10t", pytest.param("timm/efficientnet_b0", marks=pytest.mark.slow)])
    def test_weights_saved_by_timm_load_with_their_classifier(self, tmp_path, name):
        net = timm_models.build(name)
        save_file(net.state_dict(), tmp_path / "w.safetensors")
        built = registry.build(nt.backbone(name), str(tmp_path / "w.safetensors"), own_file=True)
        x = torch.rand(2, 3, 64, 64)
        with torch.no_grad():
            expected = net.eval().forward_head(net.forward_features(x), pre_logits=True)
            assert torch.equal(built.module.eval()(x), expected)

    def test_a_model_made_for_one_size_is_made_for_another(self, tmp_path):
        """Its positions are interpolated, as timm does it."""
        import timm

        card, trained = nt.backbone("timm/vit_tiny_patch16_224"), timm_models.build("timm/vit_tiny_patch16_224")
        save_file(trained.state_dict(), tmp_path / "w.safetensors")
        built = registry.build(card, str(tmp_path / "w.safetensors"), own_file=True, size=96).module.eval()
        overlay = {"file": str(tmp_path / "w.safetensors")}
        expected = timm.create_model(
            "vit_tiny_patch16_224", pretrained=True, pretrained_cfg_overlay=overlay, img_size=96, num_classes=0
        )
        x = torch.rand(2, 3, 96, 96)
        with torch.no_grad():
            assert torch.equal(built(x), expected.eval()(x))
            assert torch.equal(built.pool(built.run(built.run(x, 0, 5), 5)), built(x))

    @pytest.mark.slow
    def test_dinov2_runs_at_224_pixels(self):
        card = nt.backbone("timm/vit_small_patch14_dinov2.lvd142m")
        assert card.input.size == 518
        assert len(card.ends) == 13
        assert registry.build(card, None, size=224).module(torch.rand(1, 3, 224, 224)).shape == (1, 384)

    def test_a_process_without_torch_leaves_the_card_to_another(self, home):
        code = (
            "import sys, nbtransfer as nt\n"
            "print(len(nt.backbone('timm/resnet10t').ends))\n"
            "try: nt.backbone('timm/resnet19')\n"
            "except nt.errors.BackboneError as error: print(error)\n"
            "print('torch' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        ends, refused, loaded = done.stdout.splitlines()
        assert (ends, loaded) == ("5", "False")
        assert refused.startswith("timm has no model 'resnet19'; did you mean")

    def test_a_card_is_made_once(self, monkeypatch):
        card = nt.backbone("timm/resnet10t")
        monkeypatch.setattr(registry, "make_card", None)
        assert nt.backbone("timm/resnet10t") == card

    def test_plans_want_the_card(self):
        with pytest.raises(BackboneError, match=r"pass nbtransfer.backbone\('timm/resnet10t'\) instead of its name"):
            nt.FreezePlan.up_to("timm/resnet10t", "layer1")
        assert nt.FreezePlan.up_to(nt.backbone("timm/resnet10t"), "layer1").rules

    def test_a_file_the_hub_did_not_publish_is_refused(self, monkeypatch, tmp_path):
        import huggingface_hub

        blob = tmp_path / ("0" * 64)
        blob.write_bytes(b"something else")
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *a: str(blob))
        with pytest.raises(WeightsError, match=r"is not model\.safetensors as published by timm/"):
            registry.build(nt.backbone("timm/resnet10t"), "default")

    def test_no_network_says_what_to_fetch(self, monkeypatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        import huggingface_hub

        def refuse(*args, **kwargs):
            raise OSError("offline")

        monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
        with pytest.raises(WeightsError, match=r"model.safetensors of timm/.* could not be downloaded .* give its path"):
            registry.build(nt.backbone("timm/resnet10t"), "default")
