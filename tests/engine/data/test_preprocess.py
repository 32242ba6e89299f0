"""From an image to what a network takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.models import EfficientNet_B0_Weights, ResNet18_Weights, Swin_T_Weights

from nbtransfer.core import catalog
from nbtransfer.engine.data.preprocess import Augment, Normalise, resize_and_crop


class TestPreprocessing:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (210, 300, 3), dtype=np.uint8))

    @pytest.mark.parametrize(
        ("name", "weights"),
        [("resnet18", ResNet18_Weights), ("efficientnet_b0", EfficientNet_B0_Weights), ("swin_t", Swin_T_Weights)],
    )
    def test_it_is_what_the_weights_were_trained_with(self, name, weights):
        spec = catalog.card(name).input
        ours = Normalise(spec, torch.device("cpu"))(resize_and_crop(self.image, spec)[None])[0]
        theirs = weights.DEFAULT.transforms()(self.image)
        assert torch.allclose(ours, theirs, atol=1e-5)

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
