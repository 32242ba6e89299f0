"""The receipt of a run: proof, layer by layer, that what was frozen did not change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nbtransfer.core.events import ReceiptIssued
from nbtransfer.engine.model.freezing import digest
from nbtransfer.engine.model.transfer_model import TransferModel


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

    A phase counts as several stretches where its plan was changed while it went on. `watched` are the layers that must not
    change in the present `stretch`, as they were when it began.
    """

    phases: list[str] = field(default_factory=list)
    checks: dict[str, dict[str, bool]] = field(default_factory=lambda: defaultdict(dict))
    stretch: str = ""
    watched: Fingerprints = field(default_factory=lambda: Fingerprints({}))

    def watch(self, model: TransferModel, stretch: str, frozen: Iterable[str]) -> None:
        """From here on, these layers must not change."""
        self.stretch, self.watched = stretch, Fingerprints.take(model, frozen)

    def check(self, model: TransferModel) -> None:
        """The present stretch has ended: note what became of the layers that were watched."""
        self.phases.append(self.stretch)
        for layer, same in self.watched.unchanged(model).items():
            self.checks[layer][self.stretch] = same

    @classmethod
    def from_facts(
        cls, phases: Iterable[str], checks: Mapping[str, Mapping[str, bool]], stretch: str, watched: Mapping[str, str]
    ) -> Receipt:
        """The receipt that these facts were taken from."""
        found = defaultdict(dict, {layer: dict(found) for layer, found in checks.items()})
        return cls(list(phases), found, stretch, Fingerprints(dict(watched)))

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
