"""Input attributions: they add up, and they point at what the model really looks at."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nbtransfer.attribution.compare import compare
from nbtransfer.attribution.inputs import COARSE, FINE, baseline, input_maps, integrated_gradients
from nbtransfer.attribution.private_copy import private_copy
from nbtransfer.core.backbone import InputSpec
from nbtransfer.engine.data.preprocess import Normalise
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.pretrained.backbone import StagedBackbone
from nbtransfer.pretrained.families import gap
from nbtransfer.pretrained.measure import card_of
from tests.support.trios import Trio

SIZE, PATCH = 32, 8
SPEC = InputSpec(SIZE, SIZE, "bilinear", (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))


@pytest.fixture
def images():
    return torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def test_the_mean_is_zero_and_black_is_no_light(images):
    assert not baseline("mean", images, SPEC).any()
    normalise = Normalise(SPEC, torch.device("cpu"))
    black = normalise(torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8))
    assert torch.allclose(baseline("black", images, SPEC), black, atol=1e-6)


def test_blur_keeps_flat_images_and_takes_detail_away(images):
    flat = torch.full_like(images, 0.7)
    assert torch.allclose(baseline("blur", flat, SPEC), flat, atol=1e-5)
    blurred = baseline("blur", images, SPEC)
    assert blurred.std() < 0.3 * images.std()
    assert torch.allclose(blurred.mean((2, 3)), images.mean((2, 3)), atol=0.1)


def test_blur_is_the_same_along_rows_and_columns(images):
    turned = baseline("blur", images.transpose(2, 3), SPEC).transpose(2, 3)
    assert torch.allclose(baseline("blur", images, SPEC), turned, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_the_map_adds_up_to_the_difference(name):
    trio = Trio(name)
    model = private_copy(trio.after)
    image = Normalise(model.spec, torch.device("cpu"))(trio.pixels)
    found = integrated_gradients(model, image, baseline("mean", image, model.spec), 0, FINE)
    assert found.map.shape == (trio.size, trio.size)
    assert abs(found.difference) > 1e-3
    assert abs(found.missing) == pytest.approx(found.error * abs(found.difference))
    assert found.error < 0.15


def test_only_a_coarse_map_that_shows_is_made_finer():
    trio = Trio("shufflenet_v2_x0_5")
    models = private_copy(trio.before), private_copy(trio.after)
    image = Normalise(SPEC.at(64), torch.device("cpu"))(trio.pixels)
    found = input_maps(models, image, torch.zeros_like(image), 0)
    most = 0.05 * max(abs(one.difference) for one in found)
    for model, one in zip(models, found, strict=True):
        coarse = integrated_gradients(model, image, torch.zeros_like(image), 0)
        assert one.steps == (COARSE if abs(coarse.missing) <= most else FINE)


def planted(count, seed):
    """Noise with a patch in the upper left corner that is bright in the channel of the class."""
    source = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    pixels = torch.randint(90, 165, (count, 3, SIZE, SIZE), generator=source)
    for image, label in zip(pixels, labels, strict=True):
        image[:, :PATCH, :PATCH] = 40
        image[label, :PATCH, :PATCH] = 220
    return pixels.to(torch.uint8), labels


def trained(model, parameters, steps):
    """Train some parameters on planted images."""
    pixels, labels = planted(48, 1)
    images, optimiser = Normalise(SPEC, torch.device("cpu"))(pixels), torch.optim.Adam(parameters, 5e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimiser.step()
    return model


@pytest.fixture(scope="module")
def pair():
    """A probe on random features, and the same fine-tuned until it sees the patch."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stages = {
            "stem": nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), nn.ReLU()),
            "body": nn.Sequential(nn.Conv2d(12, 24, 3, 2, 1), nn.ReLU()),
        }
        backbone = StagedBackbone(stages, gap())
        card = card_of("tiny", "tiny", "test", copy.deepcopy(backbone), SPEC, ())
        model = TransferModel(backbone, card, SPEC, ("red", "green", "blue"))
        before = trained(model, list(model.head.parameters()), 60)
        after = copy.deepcopy(before)
        return before.eval(), trained(after, list(after.parameters()), 150).eval()


def test_planted_evidence_is_found(pair):
    """The patch is a sixteenth of the image; the fine-tuned model's evidence must lie there, the probe's need not."""
    pixels, labels = planted(3, 2)
    for label, found in zip(labels, compare(*pair, pixels, [None] * 3), strict=True):
        assert found.target == label
        assert found.change.shared > 0.2 * found.change.total > 0
        assert _share(found.inputs.after.map, PATCH) > 5 / 16  # five times its area
        assert _share(found.inputs.after.map, PATCH) > _share(found.inputs.before.map, PATCH)
        assert found.evidence.grid == (8, 8)
        # A cell also sees a pixel or two beyond its own four; three times the area of these nine.
        assert _share(found.evidence.shared.map, 3) > 3 * 9 / 64


def _share(values, side):
    """Share of the positive evidence that lies in the upper left corner."""
    positive = np.clip(values, 0, None)
    return positive[:side, :side].sum() / positive.sum()
