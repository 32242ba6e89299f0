"""The receipt of a run: proof, layer by layer, that what was frozen did not change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nbtransfer.core.events import ReceiptIssued
from nbtransfer.engine.freezing import digest
from nbtransfer.engine.model import TransferModel


@dataclass(frozen=True)
class Receipt:
    """For each frozen layer, whether its parameters and buffers are bit for bit what they were before the first step."""

    unchanged: dict[str, bool]

    def event(self) -> ReceiptIssued:
        changed = tuple(name for name, same in self.unchanged.items() if not same)
        return ReceiptIssued(len(self.unchanged), len(self.unchanged) - len(changed), changed)

    def lines(self) -> dict[str, str]:
        return {name: "unchanged, checked" if same else "CHANGED" for name, same in self.unchanged.items()}


@dataclass(frozen=True)
class Fingerprints:
    """sha256 of the tensors of layers, taken before training."""

    digests: dict[str, str]

    @classmethod
    def take(cls, model: TransferModel, layers: Iterable[str]) -> Fingerprints:
        return cls({name: digest(model.tensors(name).values()) for name in layers})

    def compare(self, model: TransferModel) -> Receipt:
        """Take the fingerprints again."""
        now = Fingerprints.take(model, self.digests).digests
        return Receipt({name: now[name] == before for name, before in self.digests.items()})
