"""A recipe: everything that defines a run, as immutable plain data."""

from __future__ import annotations

import functools
import operator
import os
import re
import typing
from dataclasses import dataclass, fields, replace
from typing import Literal

from nbtransfer.core import ranges
from nbtransfer.core import strategy as strategies
from nbtransfer.core.backbone import BackboneCard, InputSpec
from nbtransfer.core.calls import checked_class
from nbtransfer.core.code import Code, reference
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.kinds import Mismatch, shown
from nbtransfer.core.lineage import Lineage
from nbtransfer.core.scalars import plain
from nbtransfer.core.sentences import SENTENCES
from nbtransfer.core.strategy import Phase, Schedule, Strategy
from nbtransfer.core.task import TaskCard
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import suggest
from nbtransfer.errors import RecipeError

Optimiser = Literal["adamw", "adam", "sgd"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
BadImage = Literal["skip", "fail"]
Probe = Literal["auto", "logistic", "ridge", "sgd"]
Cache = Literal["auto", "on", "off"]
CacheDtype = Literal["fp32", "bf16", "fp16"]
Solver = Literal["logistic", "ridge"]
MIRRORS = ("flip", "flip_vertical")
AUGMENTATIONS = (*MIRRORS, "crop", "colour")
OWN_NET = "code/"
"""What the names of backbones in custom code begin with."""
WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth")
NEW_VIEWS = SENTENCES["cache.new_views"]


@checked_class(RecipeError, kinds=False)
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that defines a run.

    task            the target task
    backbone        name of the shared layers, see `nbtransfer.backbones()`; "code/nets.Net" is a class in custom code
    weights         "default", another name from the card, None (random), or a file (.safetensors, .pt, .pth)
    strategy        "lp", "last_stage", "lp_ft", "ft", "scratch" (with random weights), or your own Strategy
    freeze          a freeze plan that replaces that of the strategy's last phase
    epochs          length of a named strategy, all phases together; a head fitted by a solver takes one of them
    lr              peak learning rate of the last phase; None takes the optimiser's default
    schedule        learning-rate schedule of the last phase
    batch_size      images per step
    optimiser       "adamw", "adam" or "sgd" (momentum 0.9)
    weight_decay    on weights of convolutions and linear layers; never on normalisation layers and biases
    label_smoothing share of each label spread over all classes
    augment         any of "flip", "flip_vertical", "crop", "colour"; training images only
    image_size      pixels; None is the size the shared layers were trained on
    crop            share of the shorter side the central crop keeps; None is the shared layers' own, 1 keeps all of it
    clip_grad       largest norm of the gradient, None for no limit
    patience        end a phase after this many epochs without a better validation score, None for never
    on_bad_image    what to do with an image that cannot be decoded during the run: "skip" it with an event, or "fail"
    max_missing     share of the images of a split or class that may be left out; a run that loses more fails
    seed            of all random choices
    device          "auto", "cpu", "cuda", "cuda:1", "mps"
    precision       "fp32", "bf16", "fp16", or "auto": bf16 if measurement shows that it is faster, and close to fp32
    threads         of the worker; None takes every core this process may use
    loader_workers  processes that decode images; None decides by device
    probe           how a head on frozen layers is fitted: by the solver for "logistic" or "ridge" regression, trained by
                    "sgd", or "auto": by a solver unless `lr` or `schedule` say how to train, the head is a custom one, or
                    every epoch draws new views. `weight_decay` and, for "ridge", `label_smoothing` affect training only
    cache           whether the activations of the frozen layers are computed once and stored: "auto" if that pays, "on",
                    "off". Solvers run in any case; with "off" their features are in memory only
    cache_dtype     store activations as "fp32", "bf16" or "fp16"; None stores them exactly as computed
    cache_budget    disk space for all caches, in bytes; None is 20 GiB, or half of the free space if that is less
    views           number of random "crop" and "colour" views of each training image, drawn once and reused. None draws
                    new ones every epoch, which cannot be cached. Mirroring needs no views: all are known
    fold            fold frozen normalisation layers into the convolutions before them while features are computed
    checkpoint_every  steps between checkpoints inside an epoch, and one after each epoch; None saves where it takes at most 5 %
                    of the time, and inside a long epoch every two minutes
    transform       a custom transform of training images: a function such as "augment.noisy", which takes and returns a
                    PIL image (RGB). It runs first; see `nbtransfer.code`
    head            custom task-specific layers: a class such as "heads.MLP", called with the number of features and of
                    classes; maps features (N, features) to logits (N, classes). None is one linear layer
    code            the text of the custom code; if left out, it is what was written in this process
    compile         compile the model (torch.compile); pays off in long runs on a GPU
    title           free text
    """

    task: TaskCard
    backbone: str
    weights: str | None = "default"
    strategy: str | Strategy = "lp_ft"
    freeze: FreezePlan | None = None
    epochs: int = 10
    lr: float | None = None
    schedule: Schedule | None = None
    batch_size: int = 32
    optimiser: Optimiser = "adamw"
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    augment: tuple[str, ...] = ("flip",)
    image_size: int | None = None
    crop: float | None = None
    clip_grad: float | None = 1.0
    patience: int | None = None
    on_bad_image: BadImage = "skip"
    max_missing: float = 0.1
    seed: int = 0
    device: str = "auto"
    precision: Precision = "auto"
    threads: int | None = None
    loader_workers: int | None = None
    probe: Probe = "auto"
    cache: Cache = "auto"
    cache_dtype: CacheDtype | None = None
    cache_budget: int | None = None
    views: int | None = None
    fold: bool = True
    checkpoint_every: int | None = None
    transform: str | None = None
    head: str | None = None
    code: tuple[Code, ...] = ()
    compile: bool = False
    title: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, plain(getattr(self, field.name)))
        if not isinstance(self.task, TaskCard):
            raise RecipeError(f"task should be an nbtransfer Task, not {shown(self.task)}; see Task.from_folder")
        self._check_types()
        self._name_code()
        if isinstance(self.strategy, str):
            strategies.check_name(self.strategy)
        if self.strategy == strategies.SCRATCH and self.weights is not None:
            raise RecipeError(
                f"strategy 'scratch' begins with random weights; use weights=None, or 'ft' to go on from {self.weights!r}"
            )
        given: object = self.augment
        if not isinstance(given, (tuple, list)):
            raise RecipeError(f"augment is {given!r}; use a list of names such as ['flip'], or [] for none")
        object.__setattr__(self, "augment", tuple(given))
        for name in ranges.RANGES:
            ranges.check(name, getattr(self, name))
        self._check_choices()

    def _check_types(self) -> None:
        weights: object = self.weights
        if isinstance(weights, os.PathLike):
            object.__setattr__(self, "weights", os.fspath(weights))
        kinds: dict[str, tuple[type, ...]] = {
            "backbone": (str,), "weights": (str, type(None)), "strategy": (str, Strategy), "freeze": (FreezePlan, type(None)),
            "device": (str,), "title": (str,), "fold": (bool,), "compile": (bool,),
        }  # fmt: skip
        for name, allowed in kinds.items():
            value = getattr(self, name)
            if not isinstance(value, allowed):
                wrong = Mismatch(functools.reduce(operator.or_, allowed), value)
                raise RecipeError(wrong.sentence(name))

    def _name_code(self) -> None:
        for name in ("transform", "head"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, reference(name, value))
        codes: object = self.code
        if not isinstance(codes, (tuple, list)) or not all(isinstance(code, Code) for code in codes):
            raise RecipeError(f"code is {codes!r}; leave it out, and write the code with nbtransfer.code or %%transfer_code")
        object.__setattr__(self, "code", tuple(codes))

    @property
    def references(self) -> tuple[str, ...]:
        """References to custom code, except those of the task."""
        own = self.backbone.removeprefix(OWN_NET) if self.backbone.startswith(OWN_NET) else None
        return tuple(name for name in (self.transform, self.head, own) if name is not None)

    def _check_choices(self) -> None:
        for name, kind in (
            ("optimiser", Optimiser),
            ("precision", Precision),
            ("on_bad_image", BadImage),
            ("schedule", Schedule),
            ("probe", Probe),
            ("cache", Cache),
            ("cache_dtype", CacheDtype),
        ):
            value, choices = getattr(self, name), typing.get_args(kind)
            if value not in choices and not (value is None and name in ("schedule", "cache_dtype")):
                raise RecipeError(f"{name} is {value!r}; use one of {', '.join(map(repr, choices))}")
        for name in self.augment:
            if name not in AUGMENTATIONS:
                raise RecipeError(f"there is no augmentation {name!r}; {suggest(str(name), AUGMENTATIONS)}")
        if len(set(self.augment)) < len(self.augment):
            raise RecipeError(f"augment is {list(self.augment)}; name each augmentation once")
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", self.device):
            raise RecipeError(f"device is {self.device!r}; use 'auto', 'cpu', 'cuda', 'cuda:N' or 'mps'")
        if (self.device, self.precision) == ("cpu", "fp16"):
            raise RecipeError("precision is 'fp16', which needs a GPU; use 'bf16' or 'fp32' on the CPU")

    @property
    def weights_file(self) -> str | None:
        """The path of the user's own weights, or None when `weights` is a name or None."""
        own = self.weights is not None and ("/" in self.weights or self.weights.endswith(WEIGHT_SUFFIXES))
        return self.weights if own else None

    def resolved(self, card: BackboneCard) -> Strategy:
        """The strategy's phases for this backbone, with the recipe's settings applied to the last one."""
        if isinstance(self.strategy, Strategy):
            named = self.strategy
        else:
            probe = Phase("lp", FreezePlan.all(), 1)
            named = strategies.build(self.strategy, card, self.epochs, solved=self.solver(probe, card) is not None)
        whole = strategies.with_overrides(named, lr=self.lr, schedule=self.schedule, plan=self.freeze)
        phases = (replace(p, epochs=1) if self.solver(p, card) else p for p in whole.phases)
        return replace(whole, phases=tuple(phases))

    def solver(self, phase: Phase, card: BackboneCard) -> Solver | None:
        """The solver for the head of a phase; None if it is trained step by step.

        A solver needs a linear head and completely frozen shared layers. It takes all features at once, so their number
        must be known.
        """
        if self.probe == "sgd" or phase.plan.boundary(card) < len(card.stages) or self._why_no_solver():
            return None
        if self.probe == "auto" and (phase.lr is not None or phase.schedule != "one_cycle"):
            return None
        return "logistic" if self.probe == "auto" else self.probe

    def _why_no_solver(self) -> str | None:
        """Why no solver can fit the head, and what to do about it; None if one can."""
        if self.head is not None:
            return f"{self.head} is a custom head, which must be trained"
        if self.all_views is None:
            return NEW_VIEWS
        return None

    @property
    def all_views(self) -> int | None:
        """The number of views of a training image: 1 without augmentation, None if every epoch draws new ones."""
        if self.transform is not None:
            return self.views
        mirrors = [name for name in self.augment if name in MIRRORS]
        return 2 ** len(mirrors) if len(mirrors) == len(self.augment) else self.views

    def lineage(self, card: BackboneCard) -> Lineage | None:
        """How the weights it begins with were made; None where they are random, a file, or published ones."""
        return None if self.weights is None or self.weights_file else card.lineage

    def weights_input(self, card: BackboneCard) -> InputSpec:
        """The preprocessing that the chosen weights were trained with."""
        named = self.weights is not None and self.weights_file is None
        return card.weights_named(self.weights).input if named and self.weights else card.input

    def input_for(self, card: BackboneCard) -> InputSpec:
        """The preprocessing of this run: that of the weights, with the recipe's size and crop."""
        return self.weights_input(card).at(self.image_size, self.crop)

    def check_against(self, card: BackboneCard) -> None:
        """Raise an InputError if the recipe cannot work with this backbone. Needs no framework."""
        native, size = self.weights_input(card).size, self.input_for(card).size
        if card.fixed_size and size != native:
            raise RecipeError(f"{card.name} with these weights takes images of {native} px only; leave image_size out")
        if size < card.min_size:
            raise RecipeError(f"{card.name} needs images of at least {card.min_size} px; image_size is {size}")
        for phase in self.resolved(card).phases:
            phase.plan.resolve(card)
            only_head = phase.plan.boundary(card) == len(card.stages)
            if only_head and self.probe not in ("auto", "sgd") and (why := self._why_no_solver()):
                raise RecipeError(f"probe is {self.probe!r}, but {why}; leave probe out to train the head")

    @property
    def strategy_name(self) -> str:
        return self.strategy if isinstance(self.strategy, str) else self.strategy.name

    def __repr__(self) -> str:
        weights = "random weights" if self.weights is None else f"weights {self.weights!r}"
        epochs = self.epochs if isinstance(self.strategy, str) else self.strategy.epochs
        return f"Recipe({self.task!r}, {self.backbone!r}, {weights}, {self.strategy_name!r}, {quantity(epochs, 'epoch')})"
