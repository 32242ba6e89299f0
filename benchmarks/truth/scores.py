"""Intervals and confusion matrices, against SciPy and scikit-learn."""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from benchmarks.truth.claim import Claim
from nbtransfer.core.evaluation import evaluation, wilson


def intervals(*, quick: bool) -> Claim:
    """All numbers of hits among up to 100 examples, and chosen ones among more."""
    pairs = [(hits, count) for count in range(1, 8 if quick else 101) for hits in range(count + 1)]
    random = np.random.default_rng(0)
    pairs += [(int(random.integers(0, count + 1)), count) for count in (1_000, 10_000, 1_000_000) for _ in range(20)]
    worst = 0.0
    for hits, count in pairs:
        ours, theirs = wilson(hits, count), binomtest(hits, count).proportion_ci(0.95, "wilson")
        worst = max(worst, abs(ours.low - theirs.low), abs(ours.high - theirs.high))
    return Claim(
        "Wilson intervals", "SciPy's `binomtest`", f"{len(pairs):,} proportions", f"largest difference {worst:.1e}",
        int(worst > 1e-9),
    )  # fmt: skip


def confusions(*, quick: bool) -> Claim:
    """Random labels and answers; some classes are never answered or have no example."""
    random, worst, count = np.random.default_rng(1), 0.0, 20 if quick else 500
    for _ in range(count):
        classes, examples = int(random.integers(2, 12)), int(random.integers(1, 200))
        labels, answers = (random.integers(0, classes, examples).tolist() for _ in range(2))
        ours = evaluation("val", tuple(map(str, range(classes))), labels, answers, 0.0)
        expected = confusion_matrix(labels, answers, labels=range(classes))
        precision, recall, f1, _ = precision_recall_fscore_support(labels, answers, labels=range(classes), zero_division=0)
        worst = max(worst, float(np.abs(np.array(ours.confusion) - expected).max()))
        for i, score in enumerate(ours.per_class()):
            for value, theirs in ((score.precision, precision[i]), (score.recall, recall[i]), (score.f1, f1[i])):
                worst = max(worst, abs((value or 0.0) - float(theirs)))
    return Claim(
        "confusion matrix, precision, recall, F1", "scikit-learn", f"{count} random evaluations",
        f"largest difference {worst:.1e}", int(worst > 1e-12),
    )  # fmt: skip
