"""What the thousands of models of timm cost, read from a file that ships with the package.

`python -m nbtransfer.pretrained.outlines` generates the file from the installed timm; a test compares the two. It is enough to
choose by; stages and layers are in the card, which is made when a model is asked for by name.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources

FILE = "outlines.jsonl"
NO_WEIGHTS = "–"


@dataclass(frozen=True, slots=True)
class BackboneOutline:
    """A model with one set of its weights, in short; the words mean what they mean in a BackboneCard.

    `shape` is the height and width of its images in pixels. `repository` is where the Hugging Face hub holds the weights; None
    if none are published. What is not known before its card is made is None.
    """

    name: str
    params: int | None
    multiply_adds: int | None
    shape: tuple[int, int] | None
    licence: str
    repository: str | None

    @property
    def top1(self) -> None:
        """The ImageNet-1k accuracy in percent, which neither timm nor the hub states."""
        return None


@functools.cache
def outlines() -> tuple[BackboneOutline, ...]:
    """All of them, in alphabetical order."""
    text = resources.files(__package__).joinpath(FILE).read_text(encoding="utf-8")
    return tuple(decode(line) for line in text.splitlines())


def encode(entry: BackboneOutline) -> str:
    """One line of the file."""
    return json.dumps(
        [entry.name, entry.params, entry.multiply_adds, entry.shape, entry.licence, entry.repository],
        separators=(",", ":"),
        ensure_ascii=False,
    )


def decode(line: str) -> BackboneOutline:
    """The outline on one line of the file."""
    name, params, multiply_adds, shape, licence, repository = json.loads(line)
    return BackboneOutline(name, params, multiply_adds, tuple(shape), licence, repository)
