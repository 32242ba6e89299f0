"""What one run has computed, found by the next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nbtransfer.core import events as ev
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.strategy import Phase, Strategy
from nbtransfer.engine.cache import boundary
from nbtransfer.engine.cache.lookup import Lookup
from nbtransfer.store import caches
from tests.support.training import STAGES, decided, of, told, trained


class TestSharing:
    def test_the_next_run_computes_nothing(self, frozen, monkeypatch):
        first = trained(frozen)
        monkeypatch.setattr(boundary, "BuildPlan", None)
        second = trained(replace(frozen, epochs=3))
        assert "computed before" in decided(second[2])[0].reason
        assert of(second[2], ev.Computing) == []
        assert of(first[2], ev.Computing)[-1].done == 27 * 2 + 9

    def test_one_that_is_removed_while_it_is_looked_for_is_computed_again(self, frozen, monkeypatch):
        first, finds, original = trained(frozen), [], caches.find

        def find(key):
            found = original(key)
            if found:
                finds.append(found)
                if len(finds) == 2:
                    (found.folder / "train.bin").unlink()
            return found

        monkeypatch.setattr(caches, "find", find)
        second = trained(frozen)
        assert second[:2] == first[:2]
        assert of(second[2], ev.Computing) != []

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_a_boundary_that_moves_with_folding(self, frozen, precision):
        early, late = (Phase(name, FreezePlan.up_to("shufflenet_v2_x0_5", name), 1) for name in ("stage3", "stage4"))
        events = told(replace(frozen, strategy=Strategy("both", (early, late)), freeze=None, fold=True, precision=precision))
        assert [d.choice for d in decided(events)] == ["stage3", "stage4"]
        assert len(decided(events, "folding")) == 2
        assert isinstance(events[-1], ev.Finished)

    def test_a_boundary_that_moves_deeper_starts_from_the_last(self, frozen):
        early, late = (Phase(name, FreezePlan.up_to("shufflenet_v2_x0_5", name), 1) for name in ("stage3", "stage4"))
        both = replace(frozen, strategy=Strategy("both", (early, late)), freeze=None, batch_size=9)
        seen = []
        original = Lookup.find_nearest
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Lookup, "find_nearest", lambda it, count: seen.append(original(it, count)) or seen[-1])
            kept = trained(both)
        # In its first phase stage 4 learned, so its activations are new; those of stage 3 are where they start from.
        assert [start for start, _ in seen] == 2 * [0] + 2 * [STAGES.index("stage3") + 1]  # to expect, and to compute
        assert ["from the activations of stage3" in d.reason for d in decided(kept[2])] == [False, True]
        assert kept[:2] == trained(replace(both, cache="off"))[:2]

    def test_what_is_kept_in_fewer_bytes_is_no_source(self, frozen):
        """Errors would add up, and depend on what else happens to be kept."""
        recipe = replace(frozen, cache_dtype="fp16")
        first = trained(recipe)
        caches.clear()
        trained(replace(recipe, freeze=FreezePlan.up_to("shufflenet_v2_x0_5", "stage3")))
        assert trained(recipe)[:2] == first[:2]
