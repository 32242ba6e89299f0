"""Models of transformers with random weights, laid out as the client of the Hugging Face hub lays out what it downloads."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import torch

COMMIT = "0123456789abcdef0123456789abcdef01234567"
README = "---\nlicense: apache-2.0\ntags:\n- vision\n---\n# A model\n"
_VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}
_STEPS = {"image_size": 32, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}
_SWIN = {"image_size": 64, "patch_size": 4, "embed_dim": 8, "depths": [1, 1, 2], "num_heads": [1, 2, 2], "window_size": 4}
MODELS = {
    "vit": ("ViTConfig", "ViTForImageClassification", _VIT),
    "deit": ("DeiTConfig", "DeiTForImageClassification", _VIT),
    "dinov2": ("Dinov2Config", "Dinov2Model", _VIT),
    "dinov2_with_registers": ("Dinov2WithRegistersConfig", "Dinov2WithRegistersModel", _VIT),
    "convnext": ("ConvNextConfig", "ConvNextForImageClassification", _STEPS),
    "convnextv2": ("ConvNextV2Config", "ConvNextV2ForImageClassification", _STEPS),
    "swin": ("SwinConfig", "SwinForImageClassification", _SWIN),
    "swinv2": ("Swinv2Config", "Swinv2ForImageClassification", _SWIN),
    "resnet": ("ResNetConfig", "ResNetForImageClassification", {"embedding_size": 8, **_STEPS}),
    "regnet": ("RegNetConfig", "RegNetForImageClassification", {"embedding_size": 8, "groups_width": 8, **_STEPS}),
    "siglip_vision_model": ("SiglipVisionConfig", "SiglipVisionModel", _VIT),
    "clip_vision_model": ("CLIPVisionConfig", "CLIPVisionModel", _VIT),
}
"""By `model_type`: the classes of configuration and model, and small sizes."""
_TEXT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 99}
BOTH = {"siglip": ("SiglipConfig", "SiglipModel"), "clip": ("CLIPConfig", "CLIPModel")}
"""Models of images and texts."""
COVER = {
    "image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32},
    "resample": 3, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
}  # fmt: skip
CONVNEXT = {"feature_extractor_type": "ConvNextFeatureExtractor", "size": {"shortest_edge": 32}, "crop_pct": 0.875}
CLIP = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 32}, "crop_size": 32}
SIGLIP = {"image_processor_type": "SiglipImageProcessor", "size": {"height": 32, "width": 32}}
WINDOWS = {"image_processor_type": "ViTImageProcessor", "size": {"height": 64, "width": 64}}
PROCESSORS = {
    "vit": {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}},
    "deit": {"image_processor_type": "DeiTImageProcessor", "size": 36, "crop_size": 32, "do_center_crop": True},
    "dinov2": COVER, "dinov2_with_registers": COVER, "swin": WINDOWS, "swinv2": WINDOWS,
    "convnext": CONVNEXT, "convnextv2": CONVNEXT, "resnet": CONVNEXT, "regnet": CONVNEXT,
    "siglip": SIGLIP, "siglip_vision_model": SIGLIP, "clip": CLIP, "clip_vision_model": CLIP,
}  # fmt: skip


def place(cache: Path, repository: str, files: dict[str, bytes]) -> Path:
    """Put files into a cache, the large ones under their sha256; the folder of the snapshot."""
    root = cache / "hub" / f"models--{repository.replace('/', '--')}"
    snapshot = root / "snapshots" / COMMIT
    for folder in (snapshot, root / "blobs", root / "refs"):
        folder.mkdir(parents=True, exist_ok=True)
    (root / "refs" / "main").write_text(COMMIT)
    for name, content in files.items():
        large = name.endswith(".safetensors")
        blob = root / "blobs" / (hashlib.sha256(content).hexdigest() if large else hashlib.sha1(content).hexdigest())
        blob.write_bytes(content)
        (snapshot / name).unlink(missing_ok=True)
        (snapshot / name).symlink_to(blob)
    return snapshot


@functools.cache
def files_of(kind: str) -> dict[str, bytes]:
    """What transformers itself writes for a small model of this type, with preprocessing and a README."""
    import transformers

    torch.manual_seed(0)
    if kind in BOTH:
        config, model = BOTH[kind]
        given = {"text_config": _TEXT, "vision_config": _VIT}
    else:
        config, model, given = MODELS[kind]
    net = getattr(transformers, model)(getattr(transformers, config)(**given))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(std=0.1)
    folder = Path(tempfile.mkdtemp())
    net.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSORS[kind]))
    (folder / "README.md").write_text(README)
    found = {file.name: file.read_bytes() for file in folder.iterdir()}
    shutil.rmtree(folder)
    return found
