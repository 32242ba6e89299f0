"""One image of a comparison, in words and numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nbtransfer.attribution.findings import Agreement, Array, Evidence, EvidenceChange, Finding, InputMap

HEADER = ("what", "before", "after", "change", "due to shared features", "due to head", "left over")
ENTANGLED = (
    "The two parts cannot be separated here: this head and these features learned together, from another head than the one "
    "before; compare a model with one that it continues from, such as the probe of an lp_ft run (before='0-lp')."
)


@dataclass(frozen=True, eq=False)
class Example:
    """An image as the model sees it, and the finding about it.

    name      path, or position in the list
    pixels    uint8 (H, W, 3)
    truth     name of its class, if known
    classes   names of all classes
    """

    name: str
    pixels: npt.NDArray[np.uint8]
    truth: str | None
    classes: tuple[str, ...]
    finding: Finding

    @property
    def target(self) -> str:
        """The class whose evidence is explained."""
        return self.classes[self.finding.target]

    @property
    def answers(self) -> tuple[str, str]:
        """The likeliest class and its probability, before and after."""
        before, after = (_top_class(row, self.classes) for row in self.finding.probabilities)
        return before, after

    def rows(self) -> Iterator[tuple[str, ...]]:
        """The numbers as table cells, see HEADER. Evidence is in logits."""
        f, c = self.finding, self.finding.change
        rest = ("–", "–", "–")
        yield "answer", *self.answers, "–", *rest
        before, after = (row[f.target] for row in f.probabilities)
        yield f"probability of {self.target}", f"{before:.3f}", f"{after:.3f}", f"{after - before:+.3f}", *rest
        numbers = (f"{c.before:.3f}", f"{c.after:.3f}", signed(c.total, 3), signed(c.shared, 3), signed(c.head, 3))
        yield f"evidence for {self.target}", *numbers, f"{c.residual:.0e}"
        yield "new features, old head", "–", f"{c.only_features:.3f}", f"{c.only_features - c.before:+.3f}", *rest
        yield "old features, new head", "–", f"{c.only_head:.3f}", f"{c.only_head - c.before:+.3f}", *rest
        yield "only both together", "–", "–", signed(c.interaction, 3), *rest
        if f.evidence is not None:
            yield from _evidence_rows(f.evidence)
        maps = f.inputs
        title = f"input attribution, baseline {maps.baseline}"
        sums = (float(maps.before.map.sum()), float(maps.after.map.sum()))
        yield title, f"{sums[0]:.3f}", f"{sums[1]:.3f}", f"{sums[1] - sums[0]:+.3f}", *rest
        yield "completeness error (steps)", _completeness_text(maps.before), _completeness_text(maps.after), "–", *rest
        yield "agreement of input attributions", "–", "–", agreement_text(maps.agreement), *rest
        yield "agreement with a random head", "–", agreement_text(maps.floor), "–", *rest
        for stage in f.drift:
            yield (
                f"drift of {stage.stage}",
                "–",
                "–",
                "bitwise equal" if stage.bitwise_equal else f"{stage.distance:.3f}",
                *rest,
            )

    def caption(self) -> str:
        """The most important numbers in sentences, also as alternative text for the figure."""
        f, c = self.finding, self.finding.change
        is_a = f" (is {self.truth})" if self.truth else ""
        before, after = self.answers
        equal = [d.stage for d in f.drift if d.bitwise_equal]
        entangled = abs(c.interaction) > abs(c.total)
        kept = f"Bitwise equal: {', '.join(equal)}." if equal else "No stage is bitwise equal."
        agreement, floor = agreement_text(f.inputs.agreement), agreement_text(f.inputs.floor)
        return (
            f"{self.name}{is_a}: before {before}, after {after}. Evidence for {self.target} {c.before:.2f} → {c.after:.2f}: "
            f"{signed(c.shared)} due to shared features, {signed(c.head)} due to the head, {interaction_text(c)}. "
            f"Input attributions agree to {agreement} (random head: {floor}). {kept}"
            + (f" {ENTANGLED}" if entangled else "")
            + (f" No evidence map: {f.note}." if f.note else "")
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data. Maps are lists of rows, rounded to six decimals."""
        f = self.finding
        return {
            "name": self.name,
            "truth": self.truth,
            "target": self.target,
            "probabilities": dict(zip(("before", "after"), map(self._by_class, f.probabilities), strict=True)),
            "change": {**_numbers(f.change), "residual": f.change.residual, "interaction": f.change.interaction},
            "evidence": None if f.evidence is None else _evidence_dict(f.evidence),
            "inputs": {
                "baseline": f.inputs.baseline,
                "before": _input_dict(f.inputs.before),
                "after": _input_dict(f.inputs.after),
                "agreement": _numbers(f.inputs.agreement),
                "random_head": _numbers(f.inputs.floor),
            },
            "drift": [_numbers(d) for d in f.drift],
            "note": f.note,
        }

    def _by_class(self, row: tuple[float, ...]) -> dict[str, float]:
        return dict(zip(self.classes, row, strict=True))


def signed(number: float, digits: int = 2) -> str:
    """`+0.50`, `-0.50`; never `-0.00`."""
    return f"{round(number, digits) + 0.0:+.{digits}f}"


def interaction_text(change: EvidenceChange) -> str:
    """How much of the change neither part makes alone."""
    return f"{signed(change.interaction)} of it only because both changed"


def agreement_text(agreement: Agreement) -> str:
    """`ρ 0.12, top tenth 0.06`; a dash where a map is constant."""
    numbers = ["–" if math.isnan(n) else f"{round(n, 2) + 0.0:.2f}" for n in (agreement.spearman, agreement.overlap)]
    return f"ρ {numbers[0]}, top tenth {numbers[1]}"


def method_text(evidence: Evidence) -> str:
    """How an evidence map was computed, and its resolution."""
    rows, columns = evidence.grid
    return f"{'exact' if evidence.exact else 'path'}, {evidence.cut} {rows} × {columns}"


def _top_class(row: tuple[float, ...], classes: tuple[str, ...]) -> str:
    best = max(range(len(row)), key=row.__getitem__)
    return f"{classes[best]} {row[best]:.2f}"


def _evidence_rows(evidence: Evidence) -> Iterator[tuple[str, ...]]:
    b, a, s, h = evidence.parts.values()

    def cells(name: str, field: str) -> tuple[str, ...]:
        v = [float(p.map.sum()) if field == "map" else getattr(p, field) for p in (b, a, s, h)]
        return (name, f"{v[0]:.3f}", f"{v[1]:.3f}", signed(v[1] - v[0], 3), signed(v[2], 3), signed(v[3], 3))

    yield *cells(f"of it on the map ({method_text(evidence)})", "map"), f"{max(abs(p.residual) for p in (b, a, s, h)):.0e}"
    if any(p.tokens for p in (b, a, s, h)):
        yield *cells("of it in tokens without a place", "tokens"), "–"
    yield *cells("of it in the bias" if evidence.exact else "of it in the baseline image", "offset"), "–"


def _completeness_text(found: InputMap) -> str:
    return f"{found.error:.1%} ({found.steps})"


def _numbers(value: Any) -> dict[str, Any]:
    return {name: _finite(entry) for name, entry in vars(value).items()}


def _finite(value: Any) -> Any:
    """JSON has no NaN or infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _round_map(values: Array) -> list[list[float]]:
    return [[round(v, 6) for v in row] for row in values.tolist()]


def _evidence_dict(evidence: Evidence) -> dict[str, Any]:
    parts = {
        name: {"map": _round_map(p.map), "tokens": p.tokens, "offset": p.offset, "value": p.value, "residual": p.residual}
        for name, p in evidence.parts.items()
    }
    return {"cut": evidence.cut, "exact": evidence.exact, **parts}


def _input_dict(found: InputMap) -> dict[str, Any]:
    return {"map": _round_map(found.map), "difference": found.difference, "error": _finite(found.error), "steps": found.steps}
