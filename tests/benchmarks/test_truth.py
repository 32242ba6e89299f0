"""The claims, on a few cases each; all cases are for `python -m benchmarks.truth`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.truth.__main__ import CHECKS
from benchmarks.truth.claim import Claim


@pytest.mark.slow
def test_every_claim_holds_on_a_few_cases():
    done = subprocess.run([sys.executable, "-m", "benchmarks.truth", "--quick"], capture_output=True, text=True, check=False)
    rows = done.stdout.splitlines()
    assert rows[0] == "| claim | checked with | cases | found |"
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(rows) == 2 + len(CHECKS)
    assert not any("failed" in row for row in rows)


def test_a_claim_that_fails_is_said():
    claim = Claim("it holds", "itself", "3 cases", "all equal", 2)
    assert not claim.holds
    assert claim.row() == "| it holds | itself | 3 cases | **2 failed**; all equal |"
