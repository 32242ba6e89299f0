"""Settings as users compute them: NumPy's numbers, and arrays and tensors that hold a single one."""

from __future__ import annotations

from typing import Any


def plain(value: Any) -> Any:
    """The Python number, text or truth value in a NumPy scalar, or in an array or tensor without axes; others as they are."""
    if getattr(value, "shape", None) != () or not hasattr(value, "item"):
        return value
    held = value.item()
    return float(held) if hasattr(held, "item") else held  # of a long double, `item` is the same long double
