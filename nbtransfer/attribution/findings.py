"""The results of a comparison, as plain numbers and arrays. Needs no torch, so that showing them does not load it.

All evidence is in logits (natural logarithm of odds): the margin y_c − mean_j y_j of one class c. Softmax depends on the
margins only: adding a constant to all logits changes no answer, so a single logit means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class EvidenceChange:
    """The margin before and after, and the exact split of its change.

    shared          part due to the shared features, ½ (w0 + w1) · (f1 − f0)
    head            part due to the head, (w1 − w0) · ½ (f0 + f1) and the change of its bias
    only_features   the margin with new features under the old head
    only_head       the margin with the new head on the old features
    residual        after − before, as the models compute it, minus shared and head: rounding
    interaction     the joint effect of both changes beyond that of each alone; each part holds half of it
    """

    before: float
    after: float
    only_features: float
    only_head: float
    shared: float
    head: float

    @property
    def total(self) -> float:
        return self.after - self.before

    @property
    def residual(self) -> float:
        return self.total - (self.shared + self.head)

    @property
    def interaction(self) -> float:
        return self.after - self.only_features - self.only_head + self.before


@dataclass(frozen=True, eq=False)
class Part:
    """Evidence laid out over the image.

    map       (rows, columns), evidence of each position
    tokens    evidence of tokens without a position in the image: class and register tokens
    offset    evidence that belongs to no position: the bias, or the evidence of the baseline image
    value     the expected sum of map, tokens and offset
    """

    map: Array
    tokens: float
    offset: float
    value: float

    @property
    def residual(self) -> float:
        """The value minus map, tokens and offset."""
        return self.value - (float(self.map.sum()) + self.tokens + self.offset)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Where the evidence lies at the last spatial stage, before and after, and where its change comes from.

    cut       the stage whose output is explained, or timm's "forward_features"
    exact     averaging and one linear layer follow: the maps are exact without a baseline; otherwise they are path
              attributions from the baseline image, exact up to their printed residual
    """

    cut: str
    exact: bool
    before: Part
    after: Part
    shared: Part
    head: Part

    @property
    def grid(self) -> tuple[int, int]:
        rows, columns = self.before.map.shape
        return rows, columns

    @property
    def parts(self) -> dict[str, Part]:
        return {"before": self.before, "after": self.after, "shared": self.shared, "head": self.head}


@dataclass(frozen=True, eq=False)
class InputMap:
    """Integrated gradients of the margin (Sundararajan et al. 2017, arXiv 1703.01365), summed over the colours.

    map          (H, W), in pixels of the model's input
    difference   margin of the image minus margin of the baseline: the expected sum of the map
    steps        points on the path from the baseline to the image
    """

    map: Array
    difference: float
    steps: int

    @property
    def missing(self) -> float:
        """The difference minus the sum of the map."""
        return self.difference - float(self.map.sum())

    @property
    def error(self) -> float:
        """Completeness error: the missing share of the difference (0.05 is 5 %); 0 when both are 0."""
        if self.difference == 0:
            return 0.0 if self.missing == 0 else float("inf")
        return abs(self.missing / self.difference)


@dataclass(frozen=True)
class Drift:
    """How far one stage moved on one image: 1 − cosine of its activations, from 0 (same direction) to 2."""

    stage: str
    distance: float
    bitwise_equal: bool


@dataclass(frozen=True)
class Agreement:
    """How alike two maps are.

    spearman    signed rank correlation, −1…1
    overlap     intersection over union of the 10 % with the most evidence for the class, 0…1

    Both are NaN where they are undefined, see `nbtransfer.attribution.agreement`.
    """

    spearman: float
    overlap: float


@dataclass(frozen=True, eq=False)
class Inputs:
    """Input attributions before and after, their agreement, and as its floor the agreement of a random head's map."""

    baseline: str
    before: InputMap
    after: InputMap
    agreement: Agreement
    floor: Agreement


@dataclass(frozen=True, eq=False)
class Finding:
    """Everything about one image and one class.

    target          number of the class
    probabilities   of all classes, before and after
    evidence        None where the features read no spatial stage of the architecture; `note` says so
    """

    target: int
    probabilities: tuple[tuple[float, ...], tuple[float, ...]]
    change: EvidenceChange
    evidence: Evidence | None
    inputs: Inputs
    drift: tuple[Drift, ...]
    note: str = ""
