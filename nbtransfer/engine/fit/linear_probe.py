"""A phase in which only the head learns: solved for on features, not trained."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from nbtransfer.core import events as ev
from nbtransfer.core.recipe import Solver
from nbtransfer.engine.cache.activations import CachedBatches
from nbtransfer.engine.checkpointer import Checkpointer
from nbtransfer.engine.context import RunContext
from nbtransfer.engine.data.skipped import report_skipped
from nbtransfer.engine.evaluate import predict_all
from nbtransfer.engine.fit import linear_solver
from nbtransfer.engine.fit.linear_solver import Head
from nbtransfer.errors import RunError, TaskError

PATIENCE = 3
"""Weaker penalties in a row that make validation worse before the path is left."""


@dataclass
class LinearProbe:
    """Solves for the head of the present phase. It counts as one epoch of one step, which began at `began` (monotonic s)."""

    context: RunContext
    checkpointer: Checkpointer
    train: CachedBatches
    val: CachedBatches
    solver: Solver
    began: float

    def events(self) -> Iterator[ev.Event]:
        """Solve, judge, save."""
        context, p = self.context, self.context.progress
        yield from report_skipped(self.train.unusable, self.train, "train", context.recipe, p.named)
        yield from report_skipped(self.val.unusable, self.val, "val", context.recipe, p.named)
        features, labels = self.train.everything()
        others, truth = (tensor.to(features.device) for tensor in self.val.everything())
        for name, left in (("training", labels), ("validation", truth)):
            if not len(left):
                raise TaskError(f"none of the {name} images can be decoded; restore the files")
        if not (features.isfinite().all() and others.isfinite().all()):
            why = "features of some images are no finite numbers, which no head can be solved for"
            raise RunError(f"{why}; check the weights, or use precision='fp32'")
        solve = self._logistic if self.solver == "logistic" else self._ridge
        head, solved = solve(features.float(), labels.to(features.device), others[:, 0].float(), truth)
        with torch.no_grad():
            context.model.linear_head.weight.copy_(head.weight)
            context.model.linear_head.bias.copy_(head.bias)
        yield solved
        loss, accuracy = _scores(head, features.flatten(0, 1), labels.repeat_interleave(features.shape[1]))
        val = predict_all(context.model, self.val, context.device.in_fp32())
        p.step += 1
        p.judge(val)
        seconds = time.monotonic() - self.began
        yield p.epoch_ended(context.phase.name, loss, accuracy, val, 0.0, seconds)
        yield from self.checkpointer.save()

    def _logistic(
        self, features: torch.Tensor, labels: torch.Tensor, others: torch.Tensor, truth: torch.Tensor
    ) -> tuple[Head, ev.Solved]:
        """Penalties get weaker until validation has become worse for some of them.

        The strongest is taken that is within one standard error of the best (Hastie, Tibshirani & Friedman 2009, section
        7.10): what a few images less right would have chosen, and a head that is no larger than it must be.
        """
        started, fits, found = time.monotonic(), list[linear_solver.Fit](), list[torch.Tensor]()
        smoothing = self.context.recipe.label_smoothing
        for fit in linear_solver.logistic_path(features, labels, len(self.context.model.classes), smoothing=smoothing):
            fits.append(fit)
            found.append(F.cross_entropy(fit.head.logits(others), truth, reduction="none"))
            losses = [each.mean().item() for each in found]
            if len(losses) - 1 - losses.index(min(losses)) >= PATIENCE:
                break
        best = found[losses.index(min(losses))]
        most = best.mean() + best.std(correction=0) / len(best) ** 0.5
        chosen = next(fit for fit, loss in zip(fits, losses, strict=True) if loss <= most)
        strengths, seconds = tuple(fit.strength for fit in fits), time.monotonic() - started
        return chosen.head, ev.Solved("logistic", strengths, tuple(losses), chosen.strength, chosen.converged, seconds)

    def _ridge(
        self, features: torch.Tensor, labels: torch.Tensor, _others: torch.Tensor, _truth: torch.Tensor
    ) -> tuple[Head, ev.Solved]:
        """Validation chooses nothing: the images left out one by one do."""
        started = time.monotonic()
        path = linear_solver.ridge(features, labels, len(self.context.model.classes))
        head = linear_solver.calibrate(path, labels)
        seconds = time.monotonic() - started
        return head, ev.Solved("ridge", path.strengths, path.errors, path.best, converged=True, seconds=seconds)


def _scores(head: Head, features: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Mean cross-entropy and accuracy."""
    logits, labels = head.logits(features), labels.to(features.device)
    return F.cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).double().mean().item()
