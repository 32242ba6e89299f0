"""How alike two attribution maps are. Signed, because maps of unrelated models agree by 0.4 once the sign is dropped."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nbtransfer.attribution.findings import Agreement, Array

TOP = 0.1


def agreement(a: Array, b: Array) -> Agreement:
    """Both measures for two maps of the same shape."""
    return Agreement(spearman(a, b), overlap(a, b))


def spearman(a: Array, b: Array) -> float:
    """Rank correlation (Spearman 1904), −1…1; ties share their mean rank. NaN when a map is constant."""
    x, y = (_ranks(values.ravel()) for values in (a, b))
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt(float(x @ x) * float(y @ y))
    return min(1.0, max(-1.0, float(x @ y) / scale)) if scale else math.nan


def _ranks(values: Array) -> npt.NDArray[np.float64]:
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[where]


def overlap(a: Array, b: Array) -> float:
    """Intersection over union, 0…1, of the 10 % of positions with the most evidence for the class.

    NaN when no position of a map is evidence for it. Unrelated maps overlap by about 0.05.
    """
    x, y = _top_mask(a), _top_mask(b)
    return int((x & y).sum()) / int((x | y).sum()) if x.any() and y.any() else math.nan


def _top_mask(values: Array) -> npt.NDArray[np.bool_]:
    least: Any = np.quantile(values, 1 - TOP, method="higher")
    top: npt.NDArray[np.bool_] = (values >= least) & (values > 0)
    return top
