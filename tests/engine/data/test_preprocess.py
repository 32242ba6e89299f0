"""From an image to what a network takes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.models import EfficientNet_B0_Weights, ResNet18_Weights, Swin_T_Weights

from nbtransfer.core import catalog
from nbtransfer.engine.data.preprocess import Augment, Normalise, resize_and_crop
from nbtransfer.pretrained.timm_models import spec_of


class TestPreprocessing:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (210, 300, 3), dtype=np.uint8))

    odd_sizes = tuple(image.resize(size) for size, image in zip([(90, 33), (257, 255)], [image] * 2, strict=True))

    @pytest.mark.parametrize(
        ("name", "weights"),
        [("resnet18", ResNet18_Weights), ("efficientnet_b0", EfficientNet_B0_Weights), ("swin_t", Swin_T_Weights)],
    )
    def test_it_is_what_the_weights_were_trained_with(self, name, weights):
        spec = catalog.card(name).input
        ours = Normalise(spec, torch.device("cpu"))(resize_and_crop(self.image, spec)[None])[0]
        theirs = weights.DEFAULT.transforms()(self.image)
        assert torch.allclose(ours, theirs, atol=1e-5)

    def test_every_configuration_of_timm_gives_the_pixels_of_its_own_transform(self):
        timm, data = pytest.importorskip("timm"), pytest.importorskip("timm.data")
        configs = [timm.get_pretrained_cfg(name).to_dict() for name in timm.list_pretrained()]
        resolved = [data.resolve_data_config({}, pretrained_cfg=config) for config in configs]
        distinct = {repr(sorted(config.items())): config for config in resolved}
        assert len(configs) > 1500
        assert {config["crop_mode"] for config in distinct.values()} == {"center", "squash", "border"}
        assert any(config["input_size"][1] != config["input_size"][2] for config in distinct.values())
        for config in distinct.values():
            spec, theirs = spec_of(config), data.create_transform(**config, is_training=False)
            for image in self.odd_sizes:
                ours = Normalise(spec, torch.device("cpu"))(resize_and_crop(image, spec)[None])[0]
                assert torch.allclose(ours, theirs(image), atol=2e-5), (config, image.size)

    @given(
        st.tuples(st.integers(8, 40), st.integers(8, 40)),
        st.floats(0.7, 1.0),
        st.sampled_from(["center", "squash", "border"]),
        st.tuples(st.integers(1, 90), st.integers(1, 90)),
    )
    def test_whatever_timm_may_come_to_configure(self, shape, share, mode, sides):
        data = pytest.importorskip("timm.data")
        shape = shape if share == 1.0 else (shape[0], shape[0])  # no rectangle is both cropped and scaled by a share
        config = {
            "input_size": (3, *shape), "interpolation": "bicubic", "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4),
            "crop_pct": share, "crop_mode": mode,
        }  # fmt: skip
        spec, image = spec_of(config), self.image.resize(sides)
        if min(sides) / max(sides) * math.floor(max(shape)) < 1 and mode == "border":
            return  # timm fails on sides that shrink to nothing
        ours = Normalise(spec, torch.device("cpu"))(resize_and_crop(image, spec)[None])[0]
        assert torch.allclose(ours, data.create_transform(**config)(image), atol=2e-5)

    def test_the_aspect_ratio_stays_at_another_size(self):
        spec = spec_of(
            {
                "input_size": (3, 64, 48), "interpolation": "bilinear", "mean": (0.5,) * 3, "std": (0.5,) * 3,
                "crop_pct": 1.0, "crop_mode": "squash",
            }
        )  # fmt: skip
        assert (spec.shape, spec.at(32).shape, spec.at(32).resized) == ((64, 48), (32, 24), (32, 24))
        assert spec.dimensions == "64 × 48 px"

    def test_the_whole_image_can_be_kept(self):
        spec = catalog.card("resnet18").input.at(70, crop=1.0)
        assert resize_and_crop(self.image, spec).shape == (3, 70, 70)
        assert spec.resize == 70

    def test_draws_depend_on_the_seed(self):
        spec = catalog.card("resnet18").input.at(64)

        def drawn(seed, view):
            augment = Augment(("crop", "flip", "flip_vertical", "colour"), spec, None, seed)
            return augment.view_from_image(self.image, view, 7)

        before = torch.random.get_rng_state()
        assert torch.equal(drawn(1, 0), drawn(1, 0))
        assert not torch.equal(drawn(1, 0), drawn(2, 0))
        assert not torch.equal(drawn(1, 0), drawn(1, 1))
        assert drawn(3, 0).shape == (3, 64, 64)
        assert torch.equal(torch.random.get_rng_state(), before)

    def test_mirroring_only_mirrors(self):
        spec = catalog.card("resnet18").input.at(64)
        augment = Augment(("flip", "flip_vertical"), spec, 4, 0)
        plain = resize_and_crop(self.image, spec)
        views = [augment.view_from_pixels(plain, view, 0) for view in range(4)]
        assert [
            torch.equal(a, b) for a, b in zip(views, (plain, plain.flip(2), plain.flip(1), plain.flip(1, 2)), strict=True)
        ] == [True] * 4

    @given(st.integers(1, 8), st.integers(0, 5), st.integers(0, 50))
    def test_every_view_is_drawn_about_as_often(self, views, seed, number):
        augment = Augment(("colour",), catalog.card("resnet18").input, views, seed)
        drawn = [augment.view(epoch, number) for epoch in range(100 * views)]
        assert set(drawn) == set(range(views))
        assert max(map(drawn.count, range(views))) < 200
        endless = Augment(("colour",), catalog.card("resnet18").input, None, seed)
        assert [endless.view(epoch, number) for epoch in range(3)] == [0, 1, 2]
