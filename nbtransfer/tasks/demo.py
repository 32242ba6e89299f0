"""Real data from ordinary Python packages, so that the first run needs no download."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from nbtransfer.errors import MissingExtraError

NAMES = ("textile", "digits")


def textile_folder() -> Path:
    """2,000 images of woven textile, 250 × 250 pixels: nominal 1,000, local defect 500, global defect 500.

    From the package `conformal-clip-data` (MIT licence); the inspection problem is published as arXiv 2501.12596.
    """
    spec = importlib.util.find_spec("conformal_clip_data")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("the textile task", "demo")
    return Path(spec.submodule_search_locations[0]) / "data" / "textile_images" / "simulated"


def digits() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """1,797 handwritten digits, 8 × 8 pixels, as uint8 (N, 8, 8, 1) with labels 0 to 9. From scikit-learn (BSD licence)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtraError("the digits task", "demo") from error
    data = load_digits()
    images = (data.images * 255 / 16).round().astype(np.uint8)
    return images[..., None], data.target
