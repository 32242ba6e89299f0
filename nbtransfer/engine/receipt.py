"""The receipt of a run: proof, layer by layer, that what was frozen did not change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nbtransfer.core.events import ReceiptIssued
from nbtransfer.engine.freezing import digest
from nbtransfer.engine.model import TransferModel


@dataclass(frozen=True)
class Fingerprints:
    """sha256 over parameters and buffers of layers, taken at one moment."""

    digests: dict[str, str]

    @classmethod
    def take(cls, model: TransferModel, layers: Iterable[str]) -> Fingerprints:
        return cls({name: digest(model.tensors(name).values()) for name in layers})

    def unchanged(self, model: TransferModel) -> dict[str, bool]:
        """Take them again: for each layer, whether it is still bit for bit what it was."""
        now = Fingerprints.take(model, self.digests).digests
        return {name: now[name] == before for name, before in self.digests.items()}


@dataclass
class Receipt:
    """For each layer the phases in which it was frozen, and whether it was left unchanged in each.

    A phase counts as several where its plan was changed while it went on.
    """

    phases: list[str] = field(default_factory=list)
    checks: dict[str, dict[str, bool]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, phase: str, unchanged: dict[str, bool]) -> None:
        """Note what was found at the end of a phase."""
        self.phases.append(phase)
        for layer, same in unchanged.items():
            self.checks[layer][phase] = same

    @classmethod
    def again(cls, phases: Iterable[str], checks: Mapping[str, Mapping[str, bool]]) -> Receipt:
        """The receipt that these were taken from."""
        return cls(list(phases), defaultdict(dict, {layer: dict(found) for layer, found in checks.items()}))

    def event(self) -> ReceiptIssued:
        changed = tuple(layer for layer, found in self.checks.items() if not all(found.values()))
        return ReceiptIssued(len(self.checks), len(self.checks) - len(changed), changed)

    def lines(self) -> dict[str, str]:
        """One text for each layer that was frozen in some phase."""
        return {layer: self._line(found) for layer, found in self.checks.items()}

    def _line(self, found: dict[str, bool]) -> str:
        changed = [phase for phase, same in found.items() if not same]
        if changed:
            return f"CHANGED during {', '.join(changed)}"
        during = "" if len(found) == len(self.phases) else f" during {', '.join(found)}"
        return f"unchanged{during}, checked"
