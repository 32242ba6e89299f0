"""Everything that crosses between a widget and its page, as plain data: messages, requests with their replies, traits.

The page has the same types from `static/messages.d.ts`, which `python -m nbtransfer.ui.typescript` generates from this file.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

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


class Computing(TypedDict):
    """The activations of a boundary are being computed: `done` of `of` views."""

    layer: str
    done: int
    of: int


class Progress(TypedDict):
    """What changes with every step. `fraction` is of the whole run, `left` are seconds of the phase."""

    epoch: int
    fraction: float
    left: int | None
    computing: Computing | None


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
    progress: Progress
    points_from: int
    points: list[Point]
    rows_from: int
    rows: list[EpochRow]


FromPage = Hello | Bye | Request
ToPage = Ack | Done | Refused | Beat | News

# Traits


class Empty(TypedDict):
    """There is nothing to show yet."""


NodeRow = tuple[str, int, str, str, int]
"""Id, depth, label, kind ("" for what holds layers), parameters of a node of the layer tree."""


class LayersTraits(TypedDict):
    """A layer tree. Nodes come before what they hold; `frozen` names the fewest nodes that hold all frozen layers."""

    nodes: list[NodeRow]
    frozen: list[str]


class PhaseFacts(TypedDict):
    """A phase of a run. A head that is fitted by a solver has no learning rate."""

    name: str
    epochs: int
    lr: float
    trainable: int
    summary: str
    solver: str | None


class RunFacts(TypedDict):
    """What seldom changes about a run. `best` says whether it has a model yet."""

    id: str
    status: str
    ended: bool
    message: str
    backbone: str
    recipe: str
    phase: str
    phases: list[PhaseFacts]
    total: int
    device: str
    epochs: int
    seconds: float | None
    best: bool
    notes: list[str]


class ScoreFacts(TypedDict):
    """The accuracy on one split, with its 95 % interval."""

    split: str
    accuracy: float
    interval: list[float]
    correct: int
    examples: int


class Mistake(TypedDict):
    """A wrong answer. The picture is a data URL; null when the image cannot be read."""

    picture: str | None
    answer: str
    source: str


class ResultFacts(TypedDict):
    """What a run that has ended came to. `confusion` is null where there are too many classes to read it."""

    scores: list[ScoreFacts]
    split: str
    classes: list[str]
    confusion: list[list[int]] | None
    header: list[str]
    rows: list[list[str]]
    mistakes: list[Mistake]
    wrong: int
    receipt: str


class RunTraits(TypedDict):
    """A run: facts, the last lines of its log, its result."""

    run: RunFacts | Empty
    log: str
    result: ResultFacts | Empty


BackboneRow = tuple[str, str, str, int, float | None]
"""Name, parameters, multiply-adds (both scaled), input size in pixels, ImageNet top-1 in per cent."""


class CardFacts(TypedDict):
    """The backbone that is chosen, and what its weights are."""

    name: str
    params: int
    width: int
    size: int
    weights: str


class Settings(TypedDict):
    """Fields of a recipe that the page offers. null stands for the recipe's default."""

    strategy: str
    epochs: int
    lr: float | None
    batch_size: int
    image_size: int | None
    crop: float | None
    augment: list[str]
    seed: int
    device: str


class Options(TypedDict):
    """What some settings can be."""

    strategy: list[str]
    augment: list[str]


class PhaseChoice(TypedDict):
    """A phase as the next run would carry it out."""

    name: str
    epochs: int
    lr: float | None
    solver: str | None


class TaskFacts(TypedDict):
    """A target task: images of each class in each split, and some of them as data URLs."""

    name: str
    summary: str
    splits: list[str]
    counts: dict[str, dict[str, int]]
    pictures: dict[str, list[str]]
    notes: list[str]


class WidgetTraits(TypedDict):
    """What every widget has: a problem of the view itself, in one sentence."""

    problem: str


class LayerTreeTraits(WidgetTraits, LayersTraits):
    """Traits of `LayerTree`."""


class RunMonitorTraits(WidgetTraits, RunTraits):
    """Traits of `RunMonitor`."""


class DashboardTraits(WidgetTraits, LayersTraits, RunTraits):
    """Traits of `Dashboard`."""

    backbones: list[BackboneRow]
    card: CardFacts
    settings: Settings
    options: Options
    phases: list[PhaseChoice]
    task: TaskFacts | Empty


# Requests


class DataSource(TypedDict):
    """A folder of labelled images, or `demo:NAME`, and how it is split."""

    source: str
    holdout: NotRequired[float]
    test: NotRequired[float]
    per_class: NotRequired[int]
    unreadable: NotRequired[Literal["skip"]]
    duplicates: NotRequired[Literal["skip"]]


class Changes(TypedDict):
    """Another backbone or other settings; null empties a field."""

    backbone: NotRequired[str]
    strategy: NotRequired[str]
    epochs: NotRequired[int | None]
    lr: NotRequired[float | None]
    batch_size: NotRequired[int | None]
    image_size: NotRequired[int | None]
    crop: NotRequired[float | None]
    augment: NotRequired[list[str]]
    seed: NotRequired[int | None]
    device: NotRequired[str | None]


SampleId = tuple[str, int]
"""Split, and number within it."""


class ExampleChoice(TypedDict):
    """An image that can be explained, in words."""

    sample: SampleId
    text: str
    right: bool


NamedChoice = tuple[str, str]
"""What is sent, and what people read."""


class ComparisonChoices(TypedDict):
    """What can be compared: snapshots before and after, classes, images (mistakes first)."""

    before: list[NamedChoice]
    after: list[NamedChoice]
    classes: list[str]
    images: list[ExampleChoice]


class Question(TypedDict):
    """One comparison. `target` is a class, or null for the predicted one; `ink` is what can be read on the page."""

    samples: list[SampleId]
    target: str | None
    before: str
    after: str
    ink: Literal["black", "white"]


class Explanation(TypedDict):
    """A comparison as a picture (PNG in base64), in words and in numbers."""

    png: str
    caption: str
    header: list[str]
    table: list[list[str]]


class Operations(TypedDict):
    """What the page can request: the arguments, and the value of the reply."""

    touch: tuple[Empty, None]
    stop: tuple[Empty, str]
    pause: tuple[Empty, str]
    resume: tuple[Empty, str]
    replan: tuple[Empty, str]
    start: tuple[Empty, str]
    choose: tuple[Changes, None]
    data: tuple[DataSource, None]
    snapshots: tuple[Empty, ComparisonChoices]
    explain: tuple[Question, Explanation]
