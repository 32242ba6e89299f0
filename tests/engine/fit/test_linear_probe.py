"""Heads that are solved for."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.engine.cache import boundary
from nbtransfer.engine.fit import logistic_regression
from nbtransfer.errors import RunError
from nbtransfer.store import caches
from tests.support.training import epochs, of, told, trained


class TestProbe:
    def test_a_linear_probe_is_solved_for(self, recipe, paths):
        events = told(replace(recipe, strategy="lp"), paths)
        plan = events[0].phases[0]
        assert (plan.solver, plan.epochs, plan.lr) == ("logistic", 1, 0.0)
        solved = of(events, ev.Solved)[0]
        assert solved.chosen in solved.strengths
        assert solved.converged
        assert 0 <= solved.gap <= logistic_regression.TOLERANCE
        assert not of(events, ev.Warned)
        assert len(epochs(events)) == 1
        assert of(events, ev.Evaluated)[0].evaluation.correct == 9
        lines = json.loads((paths.result / "receipt.json").read_text())
        assert set(lines.values()) == {"unchanged, checked"}

    def test_a_solver_that_stops_early_says_how_far_it_may_be_from_the_optimum(self, recipe, monkeypatch):
        monkeypatch.setattr(logistic_regression, "MOST_NEWTON_STEPS", 1)
        events = told(replace(recipe, strategy="lp"))
        solved = of(events, ev.Solved)[0]
        assert not solved.converged
        assert [warned.message.code for warned in of(events, ev.Warned)] == ["warn.solver"]
        assert solved.gap > logistic_regression.TOLERANCE

    def test_by_ridge_regression(self, recipe):
        events = told(replace(recipe, strategy="lp", probe="ridge", label_smoothing=0.1))
        assert of(events, ev.Solved)[0].solver == "ridge"
        assert of(events, ev.Evaluated)[0].evaluation.correct == 9

    @pytest.mark.parametrize(
        "settings", [{"probe": "sgd"}, {"lr": 0.01}, {"schedule": "cosine"}, {"augment": ("crop",)}], ids=str
    )
    def test_or_trained_where_that_is_meant(self, recipe, settings):
        events = told(replace(recipe, strategy="lp", **settings))
        assert events[0].phases[0].solver is None
        assert len(epochs(events)) == recipe.epochs

    @pytest.mark.parametrize("setting", [{"cache": "off"}, {"cache_budget": 0}], ids=str)
    def test_also_where_nothing_may_be_kept_on_the_disk(self, recipe, setting):
        probe = replace(recipe, strategy="lp")
        plain, kept = trained(replace(probe, **setting)), trained(probe)
        assert plain[:2] == kept[:2]
        assert len(caches.caches()) == 1

    def test_with_too_little_memory_for_features(self, recipe, monkeypatch):
        monkeypatch.setattr(boundary, "available_memory", lambda: 0)
        with pytest.raises(RunError, match=r"the features need .* room for 0 bytes in memory.*use probe='sgd'"):
            told(replace(recipe, strategy="lp", cache="off"))

    @pytest.mark.parametrize("solver", ["logistic", "ridge"])
    def test_asked_for_where_it_cannot_be(self, recipe, solver):
        with pytest.raises(nt.NbTransferError, match=f"probe is '{solver}', but every epoch draws new views"):
            told(replace(recipe, strategy="lp", probe=solver, augment=("crop",)))

    def test_before_fine_tuning_it_takes_one_epoch(self, recipe):
        events = told(replace(recipe, strategy="lp_ft", epochs=3))
        assert [(p.name, p.epochs, p.solver) for p in events[0].phases] == [("lp", 1, "logistic"), ("ft", 2, None)]

    def test_a_lesser_penalty_is_not_taken_for_a_difference_that_is_noise(self, recipe):
        solved = of(told(replace(recipe, strategy="lp")), ev.Solved)[0]
        assert solved.chosen >= solved.strengths[solved.losses.index(min(solved.losses))]

    @pytest.mark.parametrize("solver", ["logistic", pytest.param("ridge", marks=pytest.mark.slow)])
    def test_features_that_are_no_numbers(self, recipe, tmp_path, solver):
        from nbtransfer.pretrained import torchvision_models

        state = torchvision_models.build("shufflenet_v2_x0_5", 40).state_dict()
        state["conv5.0.weight"][0, 0] = float("nan")
        torch.save(state, tmp_path / "own.pth")
        with pytest.raises(RunError, match=r"features of some images are NaN or infinite.*check the weights"):
            told(replace(recipe, strategy="lp", probe=solver, weights=str(tmp_path / "own.pth")))

    def test_bad_images_are_left_out(self, images, recipe):
        gone = [next(s for s in recipe.task.samples if s.split == split) for split in ("train", "val")]
        for sample in gone:
            (images / sample.source).unlink()
        events = told(replace(recipe, strategy="lp"))
        assert [e.source for e in of(events, ev.ImageSkipped)] == [s.source for s in gone]
        assert of(events, ev.EpochEnded)[0].val_examples == 8

    @pytest.mark.parametrize("split", ["train", "val"])
    def test_nothing_left(self, images, recipe, split):
        for sample in recipe.task.split(split):
            (images / sample.source).unlink()
        with pytest.raises(nt.NbTransferError, match="none of the"):
            told(replace(recipe, strategy="lp"))

    @pytest.mark.parametrize("probe", ["sgd", "logistic"])
    def test_scores_of_a_head_are_those_of_the_model_that_is_handed_on(self, recipe, probe):
        """In bf16, logits would differ in their third digit."""
        events = told(replace(recipe, strategy="lp", probe=probe, precision="bf16"))
        best = [e for e in of(events, ev.EpochEnded) if e.best][-1]
        assert best.val_loss == pytest.approx(of(events, ev.Evaluated)[0].evaluation.loss, rel=1e-6)
