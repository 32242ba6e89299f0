"""Schedules, batches, preprocessing, checkpoints, devices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.models import EfficientNet_B0_Weights, ResNet18_Weights, Swin_T_Weights

from nbtransfer.core import catalog
from nbtransfer.engine import device
from nbtransfer.engine.checkpoints import checkpoint
from nbtransfer.engine.data.order import Order
from nbtransfer.engine.data.preprocess import Augment, Normalise, resize_and_crop
from nbtransfer.engine.model.optimiser import rate
from nbtransfer.errors import CheckpointError


class TestSchedules:
    def test_one_cycle_is_that_of_torch(self):
        optimiser = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=1.0)
        theirs = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=1.0, total_steps=101)
        for step in range(101):
            lr, momentum = rate("one_cycle", step / 100)
            group = optimiser.param_groups[0]
            # theirs rounds the end of the rise to a whole step
            assert lr == pytest.approx(group["lr"], abs=0.03)
            assert momentum == pytest.approx(group["betas"][0], abs=0.005)
            optimiser.step()
            if step < 100:
                theirs.step()

    @given(st.sampled_from(["one_cycle", "cosine", "constant"]), st.floats(0, 1))
    def test_rates_stay_within_bounds(self, name, done):
        lr, momentum = rate(name, done)
        assert 0 <= lr <= 1
        assert 0.8 <= momentum <= 0.95

    def test_peaks_and_ends(self):
        assert rate("one_cycle", 0.3)[0] == pytest.approx(1)
        assert rate("cosine", 0.1)[0] == pytest.approx(1)
        assert rate("cosine", 1.0)[0] == pytest.approx(0)
        assert rate("constant", 0.7) == (1.0, 0.9)


class TestOrder:
    @given(st.integers(1, 70), st.integers(2, 20), st.integers(0, 3), st.integers(0, 3))
    def test_every_image_once_and_never_a_batch_of_one(self, count, size, seed, epoch):
        order = Order(count, size, seed)
        order.epoch = epoch
        batches = list(order)
        assert len(batches) == len(order)
        assert sorted(n for batch in batches for _, n in batch) == list(range(count))
        assert {view for batch in batches for view, _ in batch} == {0}
        assert count == 1 or min(map(len, batches)) > 1
        assert max(map(len, batches)) <= size + 1

    def test_order_depends_on_seed_and_epoch_alone(self):
        def drawn(seed, epoch):
            order = Order(50, 8, seed)
            order.epoch = epoch
            return [n for batch in order for _, n in batch]

        assert drawn(1, 2) == drawn(1, 2)
        assert len({tuple(drawn(s, e)) for s in (0, 1) for e in (0, 1)}) == 4

    @given(st.integers(1, 40), st.integers(2, 20))
    def test_without_a_seed_it_is_the_manifests(self, count, size):
        batches = list(Order(count, size, None))
        assert [n for batch in batches for _, n in batch] == list(range(count))
        assert max(map(len, batches)) <= size


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


class TestCheckpoints:
    def saved(self, folder):
        checkpoint.save(folder, {"w": torch.arange(6.0)}, {"step": 3})
        return folder

    def test_what_goes_in_comes_out(self, tmp_path):
        tensors, facts = checkpoint.load(self.saved(tmp_path / "c"))
        assert torch.equal(tensors["w"], torch.arange(6.0))
        assert facts == {"step": 3}
        assert [p.name for p in tmp_path.iterdir()] == ["c"]

    def test_it_replaces_what_was_there(self, tmp_path):
        self.saved(tmp_path / "c")
        checkpoint.save(tmp_path / "c", {"w": torch.zeros(1)}, {})
        assert checkpoint.load(tmp_path / "c")[0]["w"].shape == (1,)

    @pytest.mark.parametrize("damage", ["flip", "truncate", "no tensors", "no facts", "junk facts"])
    def test_damage_is_noticed(self, tmp_path, damage):
        folder = self.saved(tmp_path / "c")
        tensors, facts = folder / checkpoint.TENSORS, folder / checkpoint.FACTS
        raw = bytearray(tensors.read_bytes())
        match damage:
            case "flip":
                raw[-1] ^= 1
                tensors.write_bytes(raw)
            case "truncate":
                tensors.write_bytes(raw[:-3])
            case "no tensors":
                tensors.unlink()
            case "no facts":
                facts.unlink()
            case "junk facts":
                facts.write_text("{")
        with pytest.raises(CheckpointError):
            checkpoint.load(folder)

    def test_a_failed_write_leaves_nothing(self, tmp_path):
        with pytest.raises(TypeError):
            checkpoint.save(tmp_path / "c", {"w": torch.zeros(1)}, {"x": object()})
        assert list(tmp_path.iterdir()) == []

    def test_pruning_keeps_the_newest_and_the_named(self, tmp_path):
        names = []
        for n in (0, 1, 2, 2, 2, 3):
            names.append(checkpoint.name_for(tmp_path, n))
            self.saved(tmp_path / names[-1])
        assert names[2:] == ["step-00000002", "step-00000002-01", "step-00000002-02", "step-00000003"]
        assert checkpoint.newest_first(tmp_path) == names[::-1]
        (tmp_path / "notes").mkdir()
        checkpoint.prune(tmp_path, 2, frozenset({"step-00000001"}))
        assert sorted(p.name for p in tmp_path.iterdir()) == ["notes", "step-00000001", *names[-2:]]


class TestDevice:
    def test_auto_finds_one(self):
        chosen = device.choose("auto", "auto")
        assert chosen.torch.type in ("cpu", "cuda", "mps")
        assert chosen.precision in device.DTYPES
        assert chosen.name

    def test_mixed_precision_computes_in_it(self):
        a = torch.rand(4, 4)
        with device.Device(torch.device("cpu"), "bf16").autocast():
            assert (a @ a).dtype is torch.bfloat16
        with device.Device(torch.device("cpu"), "bf16").in_fp32().autocast():
            assert (a @ a).dtype is torch.float32

    def test_threads(self):
        before = torch.get_num_threads()
        assert device.use_threads(1) == 1
        assert device.use_threads(None) >= 1
        torch.set_num_threads(before)
