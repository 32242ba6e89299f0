"""What nbtransfer claims, computed again by independent code: scikit-learn, SciPy, and the transforms of torchvision and timm.

    python -m benchmarks.truth                   every claim
    python -m benchmarks.truth preprocessing     those whose names contain one of the words
    python -m benchmarks.truth --quick           a few cases of each, to see that everything still runs

It prints the table in docs/reference/reliability.md, and fails if a claim does not hold.
"""
