"""Two models on the same images: what changed, where, and because of what."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from nbtransfer.attribution import drift, evidence
from nbtransfer.attribution.agreement import agreement
from nbtransfer.attribution.findings import Evidence, EvidenceChange, Finding, Inputs
from nbtransfer.attribution.inputs import baseline, before_and_after, check_baseline, integrated_gradients
from nbtransfer.attribution.private_copy import exactly, private_copy, shared_digest
from nbtransfer.attribution.spatial_cut import SpatialCut, find
from nbtransfer.engine.data.preprocess import Normalise
from nbtransfer.engine.model.transfer_model import TransferModel
from nbtransfer.errors import InputError

NO_CUT = "{} has no stage whose places the features read one by one, so its evidence cannot be laid out over the image"
Told = Callable[[int], object]


def compare(
    before: TransferModel,
    after: TransferModel,
    pixels: torch.Tensor,
    targets: Sequence[int | None],
    start: str = "mean",
    told: Told = lambda _done: None,
) -> list[Finding]:
    """One Finding for each of the images, uint8 (N, 3, size, size).

    targets   number of the class to explain for each image; None is what the model after answers
    start     the baseline, see `nbtransfer.attribution.inputs.baseline`
    told      called after each image with how many are done; raises to give up

    Works on private copies: both models, the random state and `pixels` are left as they are, also when it fails. Raises
    InputError when the two cannot be compared.
    """
    check_baseline(start)
    _check_pair(before, after)
    with exactly():
        pair = _Pair.of(before, after, start)
        found = []
        for image, target in zip(torch.split(pixels.clone(), 1), targets, strict=True):
            found.append(pair.finding(image, target))
            told(len(found))
        return found


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
            f"the model before takes {before.spec.size} px of {before.spec.resize} and the one after {after.spec.size} px of "
            f"{after.spec.resize}, or normalises otherwise; compare runs with the same image_size, crop and weights"
        )


@dataclass(frozen=True)
class _Pair:
    """Private copies of both models, and the cut they share once an image has shown where it is."""

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
        cut = find(self.models[1].backbone, image)
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
        a0, a1 = self._entered(cut, image)
        if cut.averages(a0, features[0]) and cut.averages(a1, features[1]):
            return evidence.averaged(self.models, cut, (a0, a1), split, target)
        baselines = self._entered(cut, baseline(self.start, image, self.models[1].spec))
        return evidence.along_path(self.models, cut, (a0, a1), baselines, split, target, frozen=self.frozen)

    def _entered(self, cut: SpatialCut, image: torch.Tensor) -> evidence.Pair:
        with torch.no_grad():
            a0 = cut.enter(self.models[0].backbone, image)
            return a0, a0 if self.frozen else cut.enter(self.models[1].backbone, image)

    def _inputs(self, image: torch.Tensor, target: int) -> Inputs:
        start = baseline(self.start, image, self.models[1].spec)
        before, after = before_and_after(self.models, image, start, target)
        floor = integrated_gradients(self.random_head, image, start, target)
        return Inputs(self.start, before, after, agreement(before.map, after.map), agreement(floor.map, after.map))


def with_random_head(model: TransferModel, seed: int = 0) -> TransferModel:
    """A copy whose head is drawn anew, for the agreement that means nothing. The global random state is left alone."""
    copied = copy.deepcopy(model)
    source = torch.Generator().manual_seed(seed)
    for tensor in copied.head.parameters():
        tensor.copy_(torch.randn(tensor.shape, generator=source) / tensor.shape[-1] ** 0.5)
    return copied
