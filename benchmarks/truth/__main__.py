"""Check the claims and print the table."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.truth import evidence, heads, layers, preprocessing, runs, scores
from benchmarks.truth.claim import Check

CHECKS: tuple[Check, ...] = (
    layers.frozen_layers,
    layers.weight_decay,
    layers.normalisation,
    preprocessing.torchvision_presets,
    preprocessing.timm_configurations,
    heads.logistic,
    heads.ridge,
    scores.intervals,
    scores.confusions,
    evidence.split_of_the_change,
    evidence.integrated_gradients_of_pixels,
    runs.exports,
    runs.kills,
    runs.caches,
)


def main(words: Sequence[str]) -> int:
    """0 if all claims hold."""
    quick, wanted = "--quick" in words, [word for word in words if word != "--quick"]
    print("| claim | checked with | cases | found |\n|---|---|---|---|")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NBTRANSFER_HOME"] = str(Path(folder) / "home")
        for check in CHECKS:
            name = f"{check.__module__}.{check.__name__}"  # type: ignore[attr-defined]
            if not wanted or any(word in name for word in wanted):
                claim = check(quick=quick)
                failed += claim.failed
                print(claim.row(), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
