"""The receipt of a run: proof, layer by layer, that frozen layers did not change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nbtransfer.core.events import ReceiptIssued
from nbtransfer.engine.model.freezing import digest
from nbtransfer.engine.model.transfer_model import TransferModel


@dataclass(frozen=True)
class Fingerprints:
    """sha256 of the parameters and buffers of layers at one time."""

    digests: dict[str, str]

    @classmethod
    def take(cls, model: TransferModel, layers: Iterable[str]) -> Fingerprints:
        return cls({name: digest(model.tensors(name).values()) for name in layers})

    def compare(self, model: TransferModel) -> dict[str, bool]:
        """For each layer, whether it is still the same bit for bit."""
        now = Fingerprints.take(model, self.digests).digests
        return {name: now[name] == before for name, before in self.digests.items()}


@dataclass
class Receipt:
    """For each layer, the phases in which it was frozen, and whether it stayed the same in each.

    A phase whose plan was changed counts as several stretches. `watched` are the fingerprints, at the start of the current
    `stretch`, of the layers that must not change in it.
    """

    phases: list[str] = field(default_factory=list)
    checks: dict[str, dict[str, bool]] = field(default_factory=lambda: defaultdict(dict))
    stretch: str = ""
    watched: Fingerprints = field(default_factory=lambda: Fingerprints({}))

    def watch(self, model: TransferModel, stretch: str, frozen: Iterable[str]) -> None:
        """Begin a stretch in which these layers must not change."""
        self.stretch, self.watched = stretch, Fingerprints.take(model, frozen)

    def check(self, model: TransferModel) -> None:
        """End the current stretch: record which watched layers are unchanged."""
        self.phases.append(self.stretch)
        for layer, same in self.watched.compare(model).items():
            self.checks[layer][self.stretch] = same

    @classmethod
    def from_facts(
        cls, phases: Iterable[str], checks: Mapping[str, Mapping[str, bool]], stretch: str, watched: Mapping[str, str]
    ) -> Receipt:
        """The receipt with these facts, as a checkpoint stores them."""
        restored = defaultdict(dict, {layer: dict(entry) for layer, entry in checks.items()})
        return cls(list(phases), restored, stretch, Fingerprints(dict(watched)))

    def event(self) -> ReceiptIssued:
        changed = tuple(layer for layer, entry in self.checks.items() if not all(entry.values()))
        return ReceiptIssued(len(self.checks), len(self.checks) - len(changed), changed)

    def lines(self) -> dict[str, str]:
        """One text for each layer that was frozen in some phase."""
        return {layer: self._line(entry) for layer, entry in self.checks.items()}

    def _line(self, entry: dict[str, bool]) -> str:
        changed = [phase for phase, same in entry.items() if not same]
        if changed:
            return f"CHANGED during {', '.join(changed)}"
        during = "" if len(entry) == len(self.phases) else f" during {', '.join(entry)}"
        return f"unchanged{during}, checked"
