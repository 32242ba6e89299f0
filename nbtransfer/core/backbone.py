"""Shared layers, described without loading them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from nbtransfer.core.lineage import Lineage
from nbtransfer.core.text.counts import pixels, short_number
from nbtransfer.errors import BackboneError

Interpolation = Literal["nearest", "bilinear", "bicubic"]
CropMode = Literal["center", "squash", "border"]


@dataclass(frozen=True)
class InputSpec:
    """The input that the shared layers expect: `size` × `width` pixels (None: square), normalised by `mean` and `std` (RGB).

    An image is first brought to `resize` pixels, and to as many across as fit; then the centre is kept. `crop_mode` says how:

    center  the shorter side is resized, and what sticks out of the longer one is cut off
    squash  both sides are resized, whatever their ratio was
    border  the longer side is resized, and the shorter one is filled up with the mean colour
    """

    size: int
    resize: int
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop_mode: CropMode = "center"
    width: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the input."""
        return self.size, self.width or self.size

    @property
    def resized(self) -> tuple[int, int]:
        """The height and width of which the centre is kept."""
        return self.resize, round(self.resize * self.shape[1] / self.size)

    @property
    def pixels(self) -> int:
        """How many pixels the input has."""
        return self.shape[0] * self.shape[1]

    @property
    def dimensions(self) -> str:
        """`224 px` where it is square, else `1024 × 768 px`."""
        return pixels(self.shape)

    @property
    def preparation(self) -> str:
        """How an image is brought to this shape, in words."""
        (down, across), (height, width) = self.resized, self.shape
        first = {
            "center": f"shorter side {down} px" if down == across else f"resized to cover {down} × {across} px",
            "squash": f"resized to {down} × {across} px",
            "border": f"resized to fit into {down} × {across} px, filled up with the mean colour",
        }
        return f"{first[self.crop_mode]}, central {height} × {width} px"

    @property
    def description(self) -> str:
        """All of the preprocessing, in words."""
        mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (self.mean, self.std))
        height, width = self.shape
        return (
            f"RGB, {self.preparation} ({self.interpolation}); values divided by 255, minus the mean ({mean}), divided by the "
            f"standard deviation ({std}) of each channel; float32 (N, 3, {height}, {width})"
        )

    @property
    def value_range(self) -> tuple[float, float]:
        """The least and greatest value that a pixel can have once it is normalised."""
        channels = list(zip(self.mean, self.std, strict=True))
        return min(-mean / std for mean, std in channels), max((1 - mean) / std for mean, std in channels)

    def at(self, size: int | None, crop: float | None = None) -> InputSpec:
        """The same preprocessing at another height or central-crop share (`crop` = 1 keeps all that `crop_mode` leaves)."""
        size = size or self.size
        share = crop or self.size / self.resize
        width = self.width and round(size * self.width / self.size)
        return replace(self, size=size, resize=max(size, round(size / share)), width=width)


@dataclass(frozen=True, slots=True)
class LayerCard:
    """A named module with parameters or buffers of its own.

    `params` counts its parameters, `decayed` those that weight decay applies to: weights of linear and convolution layers.
    `normalises` says whether it is a normalisation with a scale or shift for each channel, `keeps_statistics` whether training
    mode changes its buffers even if nothing learns.
    """

    name: str
    kind: str
    params: int
    stage: str
    decayed: int = 0
    normalises: bool = False
    keeps_statistics: bool = False


@dataclass(frozen=True)
class WeightsCard:
    """One set of pretrained weights.

    `file` is its file name, `digest` the published leading hexadecimal digits of its sha256, `size` its bytes, `top1` its
    ImageNet-1k accuracy in percent, if known. `package` is the module that ships the file, if there is one.
    """

    name: str
    file: str
    digest: str
    size: int | None
    licence: str
    input: InputSpec
    source: str
    categories: int
    top1: float | None = None
    package: str | None = None


@dataclass(frozen=True)
class BackboneCard:
    """Shared layers as plain data: where they come from, what they expect, and their stages in forward order.

    `params` counts the parameters of the shared layers (without the source task's classifier), `multiply_adds` the
    operations for one image of `input.shape`, `width` the features handed to the head. `fixed_size` means that no other
    input size is possible. `ends` are the modules that end the stages, for a model that runs as its authors wrote it and is
    entered and left there; where the last stage has none, it ends with the model. `leaves` are its modules without tensors
    that are called between layers, with their stages. `architecture` is the backbone that saved
    shared layers are built as, and `lineage` says how they were made.
    """

    name: str
    family: str
    origin: str
    stages: tuple[str, ...]
    width: int
    params: int
    multiply_adds: int
    min_size: int
    fixed_size: bool
    weights: tuple[WeightsCard, ...]
    default_input: InputSpec
    layers: tuple[LayerCard, ...] = field(repr=False)
    ends: tuple[str, ...] = field(default=(), repr=False)
    leaves: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    architecture: str | None = None
    lineage: Lineage | None = field(default=None, repr=False)

    @property
    def built_as(self) -> str:
        """The name of its architecture."""
        return self.architecture or self.name

    @property
    def is_spliced(self) -> bool:
        """Whether it runs as its authors wrote it, and no cut by hand is known for its family."""
        return self.family == self.origin

    @property
    def input(self) -> InputSpec:
        """Input specification of the default weights."""
        return self.weights[0].input if self.weights else self.default_input

    @property
    def licence(self) -> str:
        """Licence of the default weights."""
        return self.weights[0].licence if self.weights else "–"

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the input of the default weights, in pixels."""
        return self.input.shape

    @property
    def top1(self) -> float | None:
        """ImageNet-1k accuracy of the default weights in percent, if known."""
        return self.weights[0].top1 if self.weights else None

    @cached_property
    def stage_params(self) -> dict[str, int]:
        """Parameters of each stage, in forward order."""
        sums = dict.fromkeys(self.stages, 0)
        for layer in self.layers:
            sums[layer.stage] += layer.params
        return sums

    def weights_named(self, name: str) -> WeightsCard:
        """The weights called `name` ("default" is the first set); raises BackboneError that lists the valid names."""
        if name == "default" and self.weights:
            return self.weights[0]
        for card in self.weights:
            if card.name == name:
                return card
        known = ", ".join(repr(card.name) for card in self.weights)
        raise BackboneError(
            f"{self.name} has no pretrained weights called {name!r}; use "
            + (f"'default' or one of {known}" if known else "weights=None or your own file")
        )

    def __repr__(self) -> str:
        return (
            f"BackboneCard({self.name!r}, {len(self.stages)} stages, {short_number(self.params)} parameters, "
            f"{short_number(self.multiply_adds)} multiply-adds, {self.input.dimensions}, width {self.width})"
        )
