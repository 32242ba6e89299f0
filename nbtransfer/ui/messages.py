"""What a widget and its page say to each other beside the traits. The page has the same types, see `typescript`."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from nbtransfer.ui.traits import Empty, NamedChoice

# Messages


class Hello(TypedDict):
    """From the page: a view has opened."""

    kind: Literal["hello"]
    view: str


class Bye(TypedDict):
    """From the page: a view has closed."""

    kind: Literal["bye"]
    view: str


class Request(TypedDict):
    """From the page: carry out an operation. `op` and `args` are those of `Operations`."""

    kind: Literal["request"]
    id: str
    op: str
    args: dict[str, Any]


class Ack(TypedDict):
    """To the page: the request has arrived. Its reply follows."""

    kind: Literal["ack"]
    id: str


class Done(TypedDict):
    """To the page: the reply to a request that was carried out."""

    kind: Literal["reply"]
    id: str
    ok: Literal[True]
    value: Any


class Refused(TypedDict):
    """To the page: the reply to a request that failed, with one sentence that says what to do."""

    kind: Literal["reply"]
    id: str
    ok: Literal[False]
    error: str


class Beat(TypedDict):
    """To the page: the kernel is alive."""

    kind: Literal["beat"]


class ComputingFacts(TypedDict):
    """The activations of a boundary are being computed: `done` of `of` views."""

    layer: str
    done: int
    of: int


class ProgressFacts(TypedDict):
    """What changes with every step. `fraction` is of the whole run, `left` are seconds of the phase."""

    epoch: int
    fraction: float
    left: int | None
    computing: ComputingFacts | None


class EpochRow(TypedDict):
    """One epoch. Losses are in nats; what is not finite is null."""

    phase: str
    epoch: int
    step: int
    loss: float | None
    accuracy: float | None
    val_loss: float | None
    val_accuracy: float
    val_interval: list[float]
    lr: float | None
    seconds: float | None
    best: bool


Point = tuple[float, float | None]
"""Epoch as a fraction, training loss."""


class News(TypedDict):
    """To the page: what is new about a run. Points before `points_from` and rows before `rows_from` stay as they are."""

    kind: Literal["news"]
    progress: ProgressFacts
    points_from: int
    points: list[Point]
    rows_from: int
    rows: list[EpochRow]


FromPage = Hello | Bye | Request
ToPage = Ack | Done | Refused | Beat | News


# Operations


class DataSource(TypedDict):
    """A folder of labelled images, or `demo:NAME`, and how it is split. A number may come as it was typed."""

    source: str
    holdout: NotRequired[float | str]
    test: NotRequired[float | str]
    per_class: NotRequired[int | str]
    unreadable: NotRequired[Literal["skip"]]
    duplicates: NotRequired[Literal["skip"]]


class Changes(TypedDict):
    """Another backbone or other settings; null empties a field. A number may come as it was typed."""

    backbone: NotRequired[str]
    strategy: NotRequired[str]
    epochs: NotRequired[int | str | None]
    lr: NotRequired[float | str | None]
    batch_size: NotRequired[int | str | None]
    image_size: NotRequired[int | str | None]
    crop: NotRequired[float | str | None]
    augment: NotRequired[list[str]]
    seed: NotRequired[int | str | None]
    device: NotRequired[str | None]


class BackboneQuery(TypedDict):
    """What to look for among the backbones. Limits come as typed: millions of parameters, billions of multiply-adds, pixels."""

    text: str
    max_params: str
    max_multiply_adds: str
    max_size: str
    licence: str
    downloaded: bool


class BackbonesFound(TypedDict):
    """The first backbones that match, and how many do."""

    rows: list[NamedChoice]
    count: int


SampleId = tuple[str, int]
"""Split, and number within it."""


class ExampleChoice(TypedDict):
    """An image that can be explained, in words."""

    sample: SampleId
    text: str
    right: bool


class ComparisonChoices(TypedDict):
    """What can be compared: snapshots before and after, classes, images (mistakes first)."""

    before: list[NamedChoice]
    after: list[NamedChoice]
    classes: list[str]
    images: list[ExampleChoice]


class Question(TypedDict):
    """One comparison. `target` is a class, or null for the predicted one; `narrow` asks for a tall figure."""

    samples: list[SampleId]
    target: str | None
    before: str
    after: str
    narrow: bool


class Explanation(TypedDict):
    """A comparison as a picture (an SVG element), in words and in numbers."""

    svg: str
    caption: str
    header: list[str]
    table: list[list[str]]


class Operations(TypedDict):
    """What the page can request: the arguments, and the value of the reply."""

    stop: tuple[Empty, str]
    pause: tuple[Empty, str]
    resume: tuple[Empty, str]
    replan: tuple[Empty, str]
    start: tuple[Empty, str]
    choose: tuple[Changes, None]
    undo: tuple[Empty, None]
    find: tuple[BackboneQuery, BackbonesFound]
    data: tuple[DataSource, None]
    snapshots: tuple[Empty, ComparisonChoices]
    explain: tuple[Question, Explanation]
