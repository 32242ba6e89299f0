"""A phase in which only the head learns: fitted by a solver on features instead of trained."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from nbtransfer.core import events as ev
from nbtransfer.core.messages import message
from nbtransfer.core.recipe import Solver
from nbtransfer.engine.cache.activations import CachedBatches
from nbtransfer.engine.checkpointer import Checkpointer
from nbtransfer.engine.context import RunContext
from nbtransfer.engine.data.skipped import report_skipped
from nbtransfer.engine.evaluate import predict_all
from nbtransfer.engine.fit.linear_head import LinearHead
from nbtransfer.engine.fit.logistic_regression import Fit, logistic_path
from nbtransfer.engine.fit.ridge_regression import calibrate, ridge_path
from nbtransfer.errors import RunError, TaskError

PATIENCE = 3
"""How many weaker penalties in a row may worsen validation before the path ends."""


@dataclass
class LinearProbe:
    """Fits the head of the current phase with a solver. Counts as one epoch of one step, begun at `began` (monotonic s)."""

    context: RunContext
    checkpointer: Checkpointer
    train: CachedBatches
    val: CachedBatches
    solver: Solver
    began: float

    def events(self) -> Iterator[ev.Event]:
        """Solve, validate, save."""
        context, p = self.context, self.context.progress
        yield from report_skipped(self.train.unusable_images, self.train, "train", context.recipe, p.reported)
        yield from report_skipped(self.val.unusable_images, self.val, "val", context.recipe, p.reported)
        features, labels = self.train.usable()
        val_features, val_labels = (tensor.to(features.device) for tensor in self.val.usable())
        for name, examples in (("training", labels), ("validation", val_labels)):
            if not len(examples):
                raise TaskError(f"none of the {name} images can be decoded; restore the files")
        if not (features.isfinite().all() and val_features.isfinite().all()):
            why = "features of some images are NaN or infinite, so no head can be fitted"
            raise RunError(f"{why}; check the weights, or use precision='fp32'")
        solve = self._logistic if self.solver == "logistic" else self._ridge
        head, solved = solve(features.float(), labels.to(features.device), val_features[:, 0].float(), val_labels)
        with torch.no_grad():
            context.model.linear_head.weight.copy_(head.weight)
            context.model.linear_head.bias.copy_(head.bias)
        yield solved
        if not solved.converged:
            yield ev.Warned(message("warn.solver", gap=solved.gap))
        loss, accuracy = _scores(head, features.flatten(0, 1), labels.repeat_interleave(features.shape[1]))
        val = predict_all(context.model, self.val, context.device.in_fp32())
        p.step += 1
        p.end_epoch(val)
        seconds = time.monotonic() - self.began
        yield p.epoch_event(context.phase.name, loss, accuracy, val, 0.0, seconds)
        yield from self.checkpointer.after_epoch()

    def _logistic(
        self, features: torch.Tensor, labels: torch.Tensor, val_features: torch.Tensor, val_labels: torch.Tensor
    ) -> tuple[LinearHead, ev.Solved]:
        """Weaken the penalty until validation has become worse for a few of them.

        Selects the strongest penalty within one standard error of the best (Hastie, Tibshirani & Friedman 2009, section
        7.10): the choice then hardly depends on single images, and the head is no larger than necessary.
        """
        started, fits, image_losses = time.monotonic(), list[Fit](), list[torch.Tensor]()
        smoothing = self.context.recipe.label_smoothing
        for fit in logistic_path(features, labels, len(self.context.model.classes), smoothing=smoothing):
            fits.append(fit)
            image_losses.append(F.cross_entropy(fit.head.logits(val_features), val_labels, reduction="none"))
            losses = [each.mean().item() for each in image_losses]
            if len(losses) - 1 - losses.index(min(losses)) >= PATIENCE:
                break
        best = image_losses[losses.index(min(losses))]
        most = best.mean() + best.std(correction=0) / len(best) ** 0.5
        chosen = next(fit for fit, loss in zip(fits, losses, strict=True) if loss <= most)
        strengths, seconds = tuple(fit.strength for fit in fits), time.monotonic() - started
        return chosen.head, ev.Solved(
            "logistic", strengths, tuple(losses), chosen.strength, chosen.converged, seconds, gap=chosen.gap
        )

    def _ridge(
        self, features: torch.Tensor, labels: torch.Tensor, _val_features: torch.Tensor, _val_labels: torch.Tensor
    ) -> tuple[LinearHead, ev.Solved]:
        """Leave-one-out errors select the penalty; validation images are not used."""
        started = time.monotonic()
        path = ridge_path(features, labels, len(self.context.model.classes))
        head = calibrate(path, labels)
        seconds = time.monotonic() - started
        return head, ev.Solved("ridge", path.strengths, path.errors, path.best, converged=True, seconds=seconds)


def _scores(head: LinearHead, features: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Mean cross-entropy and accuracy."""
    logits, labels = head.logits(features), labels.to(features.device)
    return F.cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).double().mean().item()
