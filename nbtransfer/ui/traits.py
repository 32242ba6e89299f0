"""What the traits of our widgets hold, as plain data. The page has the same types, see `typescript`."""

from __future__ import annotations

from typing import TypedDict


class Empty(TypedDict):
    """There is nothing to show yet."""


NodeRow = tuple[str, int, str, str, int]
"""Id, depth, label, kind ("" for what holds layers), parameters of a node of the layer tree."""


class LayersTraits(TypedDict):
    """A layer tree. Nodes come before what they hold; `frozen` names the fewest nodes that hold all frozen layers.

    `rates` are multipliers of the learning rate other than 1, by the id of the layer's node.
    """

    nodes: list[NodeRow]
    frozen: list[str]
    rates: dict[str, float]


class PhaseFacts(TypedDict):
    """A phase of a run. A head that is fitted by a solver has no learning rate."""

    name: str
    epochs: int
    lr: float
    trainable: int
    summary: str
    solver: str | None


class RunFacts(TypedDict):
    """What seldom changes about a run. `best` says whether it has a model yet; `caveats` what to distrust."""

    id: str
    status: str
    ended: bool
    message: str
    verdict: str
    caveats: list[str]
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
    """What a run that has ended came to. `confusion` is HTML."""

    scores: list[ScoreFacts]
    split: str
    confusion: str
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


NamedChoice = tuple[str, str]
"""What is sent, and what people read."""


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


class Past(TypedDict):
    """Whether the last choice can be taken back, and whether it put a strategy's freeze plan in the place of one's own."""

    undo: bool
    dropped_plan: bool


class PhaseChoice(TypedDict):
    """A phase as the next run would carry it out; `learns` says in words which shared layers do."""

    name: str
    learns: str
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

    backbones: list[NamedChoice]
    card: CardFacts
    settings: Settings
    options: Options
    phases: list[PhaseChoice]
    past: Past
    task: TaskFacts | Empty
