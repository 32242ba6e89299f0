"""The boundary cache: the same results, sooner; never a wrong one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nbtransfer.core.freeze import FreezePlan
from nbtransfer.engine.cache import prefix
from nbtransfer.store import caches
from tests.support.training import STAGES, decided, trained


class TestSameResults:
    @pytest.mark.parametrize("stage", STAGES)
    def test_bit_for_bit_at_every_boundary(self, frozen, stage):
        """27 images in batches of 9: every batch is a full one."""
        recipe = replace(frozen, freeze=FreezePlan.up_to("shufflenet_v2_x0_5", stage), batch_size=9, probe="sgd")
        plain, kept = trained(replace(recipe, cache="off")), trained(recipe)
        assert plain[:2] == kept[:2]
        assert decided(plain[2]) == []
        assert decided(kept[2])[0].choice == stage

    def test_closely_where_batches_are_not_full(self, frozen):
        plain, kept = trained(replace(frozen, cache="off")), trained(frozen)
        for one, other in zip(plain[0], kept[0], strict=True):
            assert one == pytest.approx(other, abs=1e-5)

    @pytest.mark.parametrize("augment", [("flip", "flip_vertical"), ("crop", "colour")])
    def test_with_several_views(self, frozen, augment):
        recipe = replace(frozen, augment=augment, views=3, batch_size=9)
        plain, kept = trained(replace(recipe, cache="off")), trained(recipe)
        assert plain[:2] == kept[:2]
        assert f"for {3 if 'crop' in augment else 4} views of each image" in decided(kept[2])[0].reason

    @pytest.mark.usefixtures("helpers")
    def test_helpers_that_load_images(self, frozen):
        found = [trained(replace(frozen, loader_workers=workers))[:2] for workers in (0, 2)]
        assert found[0] == found[1]

    def test_folding_is_reported(self, frozen):
        exact, folded = trained(frozen), trained(replace(frozen, fold=True))
        for one, other in zip(exact[0], folded[0], strict=True):
            assert one == pytest.approx(other, abs=1e-4)
        said = decided(folded[2], "folding")
        assert said[0].choice == "yes"
        assert "features differ by" in said[0].reason
        assert decided(trained(replace(frozen, fold=True))[2], "folding") == said  # also by who finds them computed

    def test_folding_that_would_change_too_much_is_not_done(self, frozen, monkeypatch):
        exact = trained(frozen)
        monkeypatch.setattr(prefix, "LARGEST_DEVIATION", -1.0)
        refused = trained(replace(frozen, fold=True))
        assert refused[:2] == exact[:2]
        assert decided(refused[2], "folding")[0].choice == "no"

    @pytest.mark.parametrize(("dtype", "close"), [("fp16", 1e-3), ("bf16", 2e-2)])
    def test_stored_in_fewer_bytes_on_request(self, frozen, dtype, close):
        exact, short = trained(frozen), trained(replace(frozen, cache_dtype=dtype))
        assert exact[0][0][1] == pytest.approx(short[0][0][1], abs=close)
        sizes = sorted(cache.bytes for cache in caches.caches())
        assert sizes[1] == 2 * sizes[0]
