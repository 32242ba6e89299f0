"""The preprocessing that an export describes is that of the run, for every way to resize and crop."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from nbtransfer.core.backbone import InputSpec
from nbtransfer.core.codec import to_plain
from nbtransfer.engine.data.preparation import Preprocess
from nbtransfer.engine.handoff.python_code import preprocessing_code

IMPORTS = "import json\nfrom pathlib import Path\nimport numpy as np\nfrom PIL import Image, ImageOps\n"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def image(mode, size):
    width, height = size
    values = np.random.default_rng(3).integers(0, 256, (height, width, 4), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


@pytest.fixture
def both(tmp_path, monkeypatch):
    """A function that preprocesses an image in both ways."""
    monkeypatch.chdir(tmp_path)

    def preprocess(picture, spec):
        (tmp_path / "model.json").write_text(json.dumps({"input": to_plain(spec)}))
        names = {}
        exec(IMPORTS + preprocessing_code(spec), names)
        return torch.from_numpy(names["preprocess"](picture)), Preprocess(spec, torch.device("cpu"))(picture)

    return preprocess


@pytest.mark.parametrize("size", [(50, 50), (123, 47), (31, 90), (400, 301)])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
@pytest.mark.parametrize(("height", "resize", "width"), [(40, 46, None), (32, 32, None), (30, 35, 52)])
def test_every_way_to_resize_and_crop(both, size, interpolation, crop_mode, height, resize, width):
    spec = InputSpec(height, resize, interpolation, MEAN, STD, crop_mode, width)
    theirs, ours = both(image("RGB", size), spec)
    assert theirs.shape == (1, 3, height, width or height)
    torch.testing.assert_close(theirs, ours, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "PA", "RGBA", "CMYK", "1"])
def test_every_kind_of_image(both, mode):
    theirs, ours = both(image(mode, (60, 50)), InputSpec(40, 46, "bilinear", MEAN, STD))
    torch.testing.assert_close(theirs, ours, rtol=1e-6, atol=1e-6)


def test_sixteen_bits_of_grey(both):
    wide = Image.fromarray(np.random.default_rng(3).integers(0, 65_536, (50, 60), dtype=np.uint16))
    theirs, ours = both(wide, InputSpec(40, 46, "bilinear", MEAN, STD))
    torch.testing.assert_close(theirs, ours, rtol=1e-6, atol=1e-6)


def test_upright(both, tmp_path):
    tags = Image.Exif()
    tags[0x0112] = 6
    image("RGB", (60, 50)).save(tmp_path / "x.png", exif=tags)
    with Image.open(tmp_path / "x.png") as turned:
        theirs, ours = both(turned, InputSpec(40, 46, "bilinear", MEAN, STD))
    torch.testing.assert_close(theirs, ours, rtol=1e-6, atol=1e-6)
