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
from nbtransfer.engine.data.preprocess import Normalise, resize_and_crop
from nbtransfer.errors import BackboneError, MissingExtraError, RecipeError, WeightsError
from nbtransfer.pretrained import registry, transformers_disk, transformers_models
from nbtransfer.pretrained.transformers_disk import FAMILIES
from tests.support.hub_models import COMMIT, COVER, PROCESSORS, files_of, place
from tests.support.runs import carried_out

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


@pytest.mark.slow
@pytest.mark.parametrize("kind", OTHERS)
def test_every_family(cache, kind):
    card = assert_same_as_in_its_library(kind, place(cache, f"org/{kind}", files_of(kind)))
    assert len(card.ends) >= 4


@pytest.mark.parametrize("kind", ["vit", "dinov2", *(pytest.param(kind, marks=pytest.mark.slow) for kind in OTHERS)])
def test_preprocessing_is_that_of_its_library(cache, kind):
    """To 1e-5 of a normalised value. Where an odd number of pixels is cut off, the two may keep others: even sizes here."""
    import transformers

    snapshot = place(cache, f"org/{kind}", files_of(kind))
    spec = transformers_models.input_spec(f"transformers/org/{kind}", snapshot)
    processor = transformers.AutoImageProcessor.from_pretrained(snapshot, backend="pil")
    for width, height in ((128, 96), (60, 90), (20, 20)):
        pixels = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(width))
        image = Image.fromarray(pixels.numpy())
        ours = Normalise(spec, torch.device("cpu"))(resize_and_crop(image, spec)[None])
        torch.testing.assert_close(ours, processor(image, return_tensors="pt").pixel_values, atol=1e-5, rtol=1e-5)


def test_positions_are_interpolated_for_other_sizes(cache):
    card = nt.backbone("transformers/org/vit")
    assert not card.fixed_size
    backbone = registry.build(card, "default", size=48).module.eval()
    x = torch.randn(2, 3, 48, 48)
    features = reference("vit", cache / f"hub/models--org--vit/snapshots/{COMMIT}")
    with torch.no_grad():
        assert torch.equal(backbone(x), features(x, interpolate_pos_encoding=True))
        assert torch.equal(backbone.pool(backbone.run(backbone.run(x, 0, 2), 2)), backbone(x))


def test_a_run_from_the_cached_boundary_to_the_loaded_export(images, tmp_path):
    task = nt.Task.from_folder(images, holdout=0.25)
    card = nt.backbone("transformers/org/dinov2")
    recipe = nt.Recipe(
        task=task, backbone=card.name, strategy="ft", freeze=nt.FreezePlan.up_to(card, card.stages[2]), epochs=2, batch_size=8,
        augment=(), device="cpu", precision="fp32", threads=1, cache="on",
    )  # fmt: skip
    run = carried_out(recipe)
    assert next(decision for decision in run.state.decisions if decision.subject == "cache").choice == card.stages[2]
    assert run.receipt()["embeddings"] == "unchanged, checked"
    assert set(run.receipt()) == {layer.name for layer in card.layers if layer.stage in card.stages[:3]}
    model = nt.load_model(run.export(tmp_path / "exported"))
    assert model(model.preprocess([Image.new("RGB", (50, 40), "red")])).shape == (1, 3)


class TestSearch:
    def test_lists_what_is_on_the_disk_without_loading_a_framework(self):
        code = (
            "import sys, nbtransfer as nt\n"
            "print([(e.name, e.shape, e.licence) for e in nt.backbones('transformers/')])\n"
            "print([name for name in ('torch', 'transformers', 'huggingface_hub') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        found, loaded = done.stdout.splitlines()
        assert found == str([(f"transformers/org/{kind}", (32, 32), "apache-2.0") for kind in ("dinov2", "vit")])
        assert loaded == "[]"

    def test_counts_as_downloaded_and_is_completed(self, tmp_path):
        assert "transformers/org/vit" in [entry.name for entry in nt.backbones("vit", downloaded=True)]
        assert transformers_disk.PREFIX + "org/vit" in completion._backbones("transformers/", None)

    def test_other_models_in_the_cache_are_not_listed(self, cache):
        place(cache, "org/bert", {"config.json": b'{"model_type": "bert"}', "model.safetensors": b""})
        place(cache, "org/damaged", {"config.json": b"{", "model.safetensors": b""})
        place(cache, "org/without-weights", {"config.json": files_of("vit")["config.json"]})
        assert [entry.name for entry in nt.backbones("transformers/")] == ["transformers/org/dinov2", "transformers/org/vit"]

    def test_a_damaged_part_of_one_model_does_not_hide_the_others(self, cache):
        damaged = b'{"model_type": "clip", "vision_config": [1]}'
        place(cache, "org/clip", {**files_of("vit"), "config.json": damaged})
        assert [entry.name for entry in nt.backbones("transformers/")] == ["transformers/org/dinov2", "transformers/org/vit"]
        with pytest.raises(BackboneError, match=r"org/clip is damaged: vision_config in its config.json is no object"):
            nt.backbone("transformers/org/clip")

    def test_the_size_is_that_of_the_preprocessing(self, cache):
        """As DINOv2, whose configuration states another one."""
        config = {**json.loads(files_of("dinov2")["config.json"]), "image_size": 56}
        place(cache, "org/dinov2", {"config.json": json.dumps(config).encode()})
        assert [entry.shape for entry in nt.backbones("org/dinov2", max_size=32)] == [(32, 32)]

    @pytest.mark.parametrize(
        ("top", "licence"),
        [
            ("---\nlicense: other\nlicense_name: some-terms\n---\n", "some-terms"), ("---\ntags: x\n---\nlicense: mit", "–"),
            ("license: mit", "–"), ("---\nlicense: 'cc-by-nc-4.0' # no trade\n---\n", "cc-by-nc-4.0"),
        ],
    )  # fmt: skip
    def test_the_licence_is_that_at_the_top_of_the_readme(self, cache, top, licence):
        place(cache, "org/vit", {"README.md": top.encode()})
        assert next(e.licence for e in nt.backbones("transformers/org/vit")) == licence


def test_what_is_not_in_the_cache_is_downloaded_in_one_version(cache, monkeypatch):
    """The files that describe a model first, its weights when it is built."""
    import huggingface_hub

    asked = []

    def download(repository, file, revision="main", cache_dir=None):
        asked.append((file, revision))
        return place(cache, repository, {file: files_of("vit")[file]}) / file

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    card = nt.backbone("transformers/org/remote")
    assert card.licence == "apache-2.0"
    described = [("config.json", "main"), ("README.md", COMMIT), ("preprocessor_config.json", COMMIT)]
    assert asked == described
    assert registry.build(card, "default").digest
    assert asked == [*described, ("model.safetensors", COMMIT)]


def test_names_of_layers_of_older_versions_are_read(cache, tmp_path):
    """As they are in the files that were published years ago."""
    (tmp_path / "w.safetensors").write_bytes(files_of("vit")["model.safetensors"])
    published = load_file(tmp_path / "w.safetensors")["vit.encoder.layer.0.attention.attention.query.weight"]
    backbone = registry.build(nt.backbone("transformers/org/vit"), "default").module
    assert torch.equal(backbone.state_dict()["body.layers.0.attention.q_proj.weight"], published)
    own = registry.build(nt.backbone("transformers/org/vit"), str(tmp_path / "w.safetensors"), own_file=True).module
    assert all(torch.equal(tensor, own.state_dict()[name]) for name, tensor in backbone.state_dict().items())


def test_a_file_of_another_model_is_refused(tmp_path):
    card = nt.backbone("transformers/org/vit")
    body = registry.build(card, None).module.body.state_dict()
    file = tmp_path / "w.safetensors"
    for prefix in ("", "vit."):
        file.write_bytes(save({f"{prefix}{name}": tensor[..., :8].contiguous() for name, tensor in body.items()}))
        with pytest.raises(WeightsError, match="does not fit"):
            registry.build(card, str(file), own_file=True)
    file.write_bytes(save({"fc.weight": torch.zeros(2, 2)}))
    with pytest.raises(WeightsError, match=r"does not fit transformers/org/vit \(54 missing"):
        registry.build(card, str(file), own_file=True)
    file.write_bytes(save({f"module.{name}": tensor for name, tensor in body.items()}))
    assert registry.build(card, str(file), own_file=True)


class TestRefusals:
    def test_an_unknown_name(self):
        with pytest.raises(
            BackboneError, match=r"config.json of org/vitt could not be downloaded.*did you mean 'transformers/org/vit'"
        ):
            nt.backbone("transformers/org/vitt")

    @pytest.mark.parametrize("name", ["transformers/", "transformers/../x", "transformers/a/b/c", "transformers/a b"])
    def test_what_names_no_repository(self, name):
        with pytest.raises(BackboneError, match="names no model; write transformers/OWNER/MODEL"):
            nt.backbone(name)

    @pytest.mark.parametrize(
        ("config", "why"),
        [
            ({"model_type": "bert"}, "is of the type 'bert', and nbtransfer knows image encoders of these types: vit, "),
            ({"auto_map": {"AutoModel": "net.Net"}, "model_type": "vit"}, "needs code from the hub, which nbtransfer does not"),
            ({}, "states no model_type"), ({"model_type": ["vit"]}, r"is of the type \['vit'\]"),
        ],
    )  # fmt: skip
    def test_a_model_that_is_no_known_image_encoder(self, cache, config, why):
        place(cache, "org/other", {**files_of("vit"), "config.json": json.dumps(config).encode()})
        with pytest.raises(BackboneError, match=f"transformers/org/other {why}"):
            nt.backbone("transformers/org/other")

    @pytest.mark.parametrize("text", [b"{", b"[]", b"\xff"])
    def test_a_damaged_description(self, cache, text):
        place(cache, "org/vit", {"config.json": text})
        with pytest.raises(BackboneError, match=r"config\.json (cannot be read|describes no model).*delete it"):
            nt.backbone("transformers/org/vit")

    def test_a_configuration_of_wrong_types(self, cache):
        config = {**json.loads(files_of("vit")["config.json"]), "hidden_size": "wide"}
        place(cache, "org/vit", {"config.json": json.dumps(config).encode()})
        with pytest.raises(BackboneError, match=r"config.json cannot be used \(.*choose another model"):
            nt.backbone("transformers/org/vit")

    def test_a_model_without_preprocessing(self, cache, monkeypatch):
        import huggingface_hub

        files = {name: text for name, text in files_of("vit").items() if name != "preprocessor_config.json"}
        place(cache, "org/bare", files)
        with pytest.raises(
            BackboneError, match=r"preprocessor_config.json of org/bare is not in the hub's cache, and could not"
        ):
            nt.backbone("transformers/org/bare")

        def refuse(*args, **options):
            raise huggingface_hub.errors.EntryNotFoundError("404")

        monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
        why = r"does not say how its images are prepared \(it has no preprocessor_config.json\)"
        with pytest.raises(BackboneError, match=why):
            nt.backbone("transformers/org/bare")

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"do_resize": False}, "does not resize"), ({"resample": 1}, "resizes with Pillow's filter 1"),
            ({"rescale_factor": 1.0}, "does not divide by 255"), ({"do_rescale": False}, "does not divide by 255"),
            ({"image_mean": [0.5]}, "is not for RGB images"), ({"size": {"longest_edge": 32}}, "states no height and width"),
            ({"image_processor_type": "MobileViTImageProcessor"}, "is done by MobileViTImageProcessor"),
            ({**COVER, "do_center_crop": False}, "gives images of various shapes"),
            ({**COVER, "crop_size": 40}, "keeps 40 × 40 px of a shorter side of 36 px"),
        ],
    )  # fmt: skip
    def test_preprocessing_that_cannot_be_expressed(self, cache, change, why):
        snapshot = place(cache, "org/vit", {"preprocessor_config.json": json.dumps({**PROCESSORS["vit"], **change}).encode()})
        with pytest.raises(BackboneError, match=f"the preprocessing of transformers/org/vit {why}.*choose another model"):
            transformers_models.input_spec("transformers/org/vit", snapshot)

    def test_truncated_weights(self, cache):
        card = nt.backbone("transformers/org/vit")
        place(cache, "org/vit", {"model.safetensors": files_of("vit")["model.safetensors"][:-100]})
        with pytest.raises(WeightsError, match=r"cannot be read as plain weights \(it is damaged"):
            registry.build(card, "default")

    def test_altered_weights(self, cache):
        card = nt.backbone("transformers/org/vit")
        file = cache / f"hub/models--org--vit/snapshots/{COMMIT}/model.safetensors"
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.resolve().write_bytes(content)
        with pytest.raises(WeightsError, match=r"is not model\.safetensors as published by org/vit"):
            registry.build(card, "default")

    def test_incomplete_weights(self, cache, tmp_path):
        (tmp_path / "w.safetensors").write_bytes(files_of("vit")["model.safetensors"])
        state = load_file(tmp_path / "w.safetensors")
        left_out = next(name for name in state if "embeddings" in name)
        place(
            cache, "org/vit", {"model.safetensors": save({k: v for k, v in state.items() if k != left_out}, {"format": "pt"})}
        )
        with pytest.raises(WeightsError, match=r"does not fit transformers/org/vit \(1 missing: "):
            registry.build(nt.backbone("transformers/org/vit"), "default")

    def test_weights_that_are_not_here_and_cannot_be_downloaded(self, cache):
        (cache / f"hub/models--org--vit/snapshots/{COMMIT}/model.safetensors").unlink()
        with pytest.raises(WeightsError, match=r"model\.safetensors of org/vit could not be downloaded"):
            registry.build(nt.backbone("transformers/org/vit"), "default")

    def test_without_transformers_the_extra_is_named(self, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        with pytest.raises(MissingExtraError, match=r"pip install 'nbtransfer\[transformers\]'"):
            nt.backbone("transformers/org/vit")

    def test_a_size_that_fails_is_refused_before_a_worker_starts(self, cache, images):
        place(cache, "org/swin", files_of("swin"))
        recipe = nt.Recipe(task=nt.Task.from_folder(images), backbone="transformers/org/swin", image_size=48)
        with pytest.raises(RecipeError, match="transformers/org/swin fails on images of 48 × 48 px"):
            nt.start(recipe)
        assert not nt.runs()


@pytest.mark.slow
def test_a_process_without_torch_leaves_the_card_to_another():
    code = "import sys, nbtransfer as nt\nprint(len(nt.backbone('transformers/org/vit').ends), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["4", "False"]


def test_another_version_of_a_model_has_another_card(cache):
    before = nt.backbone("transformers/org/vit")
    changed = {**PROCESSORS["vit"], "image_mean": [0.1, 0.2, 0.3]}
    place(cache, "org/vit", {"preprocessor_config.json": json.dumps(changed).encode()})
    assert before.input.mean == (0.5, 0.5, 0.5)
    assert nt.backbone("transformers/org/vit").input.mean == (0.1, 0.2, 0.3)
