"""Compare two models on the same images: what changed, where, and why."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from nbtransfer.attribution import drift, evidence
from nbtransfer.attribution.agreement import agreement
from nbtransfer.attribution.findings import Evidence, EvidenceChange, Finding, Inputs
from nbtransfer.attribution.inputs import baseline, check_baseline, input_maps, integrated_gradients
from nbtransfer.attribution.private_copy import exact_gradients, private_copy, shared_digest
from nbtransfer.attribution.spatial_cut import SpatialCut, find_cut
from nbtransfer.engine.data.preprocess import Normalise
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.errors import InputError

NO_CUT = "{} has no stage with positions that the features read one by one, so its evidence cannot be mapped onto the image"
OnImage = Callable[[int], object]


def compare(
    before: TransferModel,
    after: TransferModel,
    pixels: torch.Tensor,
    targets: Sequence[int | None],
    start: str = "mean",
    on_image: OnImage = lambda _done: None,
) -> list[Finding]:
    """One Finding per image; `pixels` is uint8 (N, 3, H, W).

    targets   number of the class to explain for each image; None explains the answer of the model after
    start     the baseline, see `nbtransfer.attribution.inputs.baseline`
    on_image  called after each image with the number done; may raise to cancel

    Works on private copies: both models, the random state and `pixels` stay as they are, even after an error. Raises
    InputError when the models cannot be compared.
    """
    check_baseline(start)
    _check_pair(before, after)
    with exact_gradients():
        pair = _Pair.of(before, after, start)
        findings = []
        for image, target in zip(torch.split(pixels.clone(), 1), targets, strict=True):
            findings.append(pair.finding(image, target))
            on_image(len(findings))
        return findings


def _check_pair(before: TransferModel, after: TransferModel) -> None:
    _ = before.linear_head, after.linear_head
    if before.classes != after.classes:
        raise InputError(
            f"the model before answers {', '.join(before.classes)} and the one after {', '.join(after.classes)}; compare "
            "runs on the same classes"
        )
    if before.card.name != after.card.name:
        raise InputError(
            f"the model before is {before.card.name} and the one after {after.card.name}; compare runs on the same backbone"
        )
    if before.spec != after.spec:
        raise InputError(
            f"images are prepared in two ways (before: {before.spec.preparation}; after: {after.spec.preparation}), or are "
            "normalised otherwise; compare runs with the same image_size, crop and weights"
        )


@dataclass(frozen=True)
class _Pair:
    """Private copies of both models, and a copy of the second with a random head. `frozen`: their shared layers are equal."""

    models: evidence.Models
    random_head: TransferModel
    frozen: bool
    start: str

    @classmethod
    def of(cls, before: TransferModel, after: TransferModel, start: str) -> _Pair:
        models = private_copy(before), private_copy(after)
        frozen = shared_digest(models[0]) == shared_digest(models[1])
        return cls(models, with_random_head(models[1]), frozen, start)

    def finding(self, pixels: torch.Tensor, target: int | None) -> Finding:
        device = next(self.models[1].parameters()).device
        image = Normalise(self.models[1].spec, device)(pixels)
        first, second = self.models
        moved_from = drift.activations(first.backbone, image)
        moved_to = moved_from if self.frozen else drift.activations(second.backbone, image)
        features = moved_from[drift.FEATURES], moved_to[drift.FEATURES]
        with torch.no_grad():
            probabilities = [m.head(f).softmax(1)[0].tolist() for m, f in zip(self.models, features, strict=True)]
            target = int(second.head(features[1]).argmax()) if target is None else target
            split = evidence.change(self.models, features, target)
        cut = find_cut(self.models[1].backbone, image)
        return Finding(
            target=target,
            probabilities=(tuple(probabilities[0]), tuple(probabilities[1])),
            change=split,
            evidence=self._evidence(cut, image, features, split, target) if cut else None,
            inputs=self._inputs(image, target),
            drift=drift.drift(moved_from, moved_to),
            note="" if cut else NO_CUT.format(self.models[1].card.name),
        )

    def _evidence(
        self, cut: SpatialCut, image: torch.Tensor, features: evidence.Pair, split: EvidenceChange, target: int
    ) -> Evidence:
        a0, a1 = self._activations(cut, image)
        if cut.averages(a0, features[0]) and cut.averages(a1, features[1]):
            return evidence.cam_evidence(self.models, cut, (a0, a1), split, target)
        baselines = self._activations(cut, baseline(self.start, image, self.models[1].spec))
        return evidence.path_evidence(self.models, cut, (a0, a1), baselines, split, target, frozen=self.frozen)

    def _activations(self, cut: SpatialCut, image: torch.Tensor) -> evidence.Pair:
        with torch.no_grad():
            a0 = cut.enter(self.models[0].backbone, image)
            return a0, a0 if self.frozen else cut.enter(self.models[1].backbone, image)

    def _inputs(self, image: torch.Tensor, target: int) -> Inputs:
        start = baseline(self.start, image, self.models[1].spec)
        before, after = input_maps(self.models, image, start, target)
        floor = integrated_gradients(self.random_head, image, start, target)
        return Inputs(self.start, before, after, agreement(before.map, after.map), agreement(floor.map, after.map))


def with_random_head(model: TransferModel, seed: int = 0) -> TransferModel:
    """A copy with a newly drawn head: its map gives the agreement expected by chance. Leaves the global random state alone."""
    copied = copy.deepcopy(model)
    source = torch.Generator().manual_seed(seed)
    for tensor in copied.head.parameters():
        tensor.copy_(torch.randn(tensor.shape, generator=source) / tensor.shape[-1] ** 0.5)
    return copied
