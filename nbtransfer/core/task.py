"""A task, described without loading it: the ordered examples and what to predict."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from nbtransfer.core.code import Code
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list, suggest
from nbtransfer.errors import TaskError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def split_name(split: str) -> str:
    """A split in a sentence: "training", "validation", "test"."""
    return {"train": "training", "val": "validation"}.get(split, split)


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled example.

    `source` is a path relative to the task's root, or the row of an array or dataset as text. `digest` identifies its content,
    so that later changes are detected; it is empty for a custom dataset, whose code identifies it.
    """

    source: str
    label: int
    split: Split
    digest: str


@dataclass(frozen=True, slots=True)
class Reading:
    """How the files of a task are read.

    `white_level` is the value that is white in images of 16 bits, such as 4,095 for data of 12 bits. `max_aspect` is how many
    times longer than the other a side may be; more is taken for a damaged header.
    """

    white_level: int = 65_535
    max_aspect: float = 100

    def __post_init__(self) -> None:
        if not 1 <= self.white_level <= 65_535:
            raise TaskError(f"white_level is {self.white_level!r}; use the value of white, from 1 to 65,535, such as 4095")
        if not self.max_aspect >= 1:
            raise TaskError(f"max_aspect is {self.max_aspect!r}; use a number from 1 on, such as 200")


@dataclass(frozen=True)
class TaskCard:
    """The target task as plain data.

    `root` is the folder of the images, the .npy file of an array task, or a reference to a custom dataset such as
    "data.Pairs", with the text of its `code` and its `arguments` as JSON. `samples` is the manifest: its order, labels
    and splits are fixed when the task is made. `layout` says how a folder was understood, `reading` how its files are read.
    `digest` identifies all of it.
    """

    name: str
    kind: Literal["folder", "arrays", "code"]
    root: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...] = field(repr=False)
    notes: tuple[str, ...] = ()
    code: Code | None = None
    arguments: str = "{}"
    layout: str = ""
    reading: Reading = Reading()

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise TaskError(f"a task needs at least two classes; {self.name!r} has {short_list(self.classes) or 'none'}")
        if len(set(self.classes)) < len(self.classes):
            raise TaskError(f"class names must differ; {self.name!r} has {short_list(self.classes)}")

    @cached_property
    def digest(self) -> str:
        """sha256 over classes and manifest, as hexadecimal text: the same for a copy of the files elsewhere."""
        state = hashlib.sha256(repr((self.kind, self.classes)).encode("utf-8", "surrogateescape"))
        if self.code is not None:
            state.update(repr((self.root, self.arguments, self.code.sha256)).encode("utf-8", "surrogateescape"))
        if self.reading != Reading():
            state.update(repr(self.reading).encode())
        for s in self.samples:
            line = f"{s.source}\0{s.label}\0{s.split}\0{s.digest}\n"
            state.update(line.encode("utf-8", "surrogateescape"))
        return state.hexdigest()

    def split(self, name: Split) -> Iterator[Sample]:
        """The examples of one split, in manifest order; raises TaskError if there is no such split."""
        if name not in SPLITS:
            raise TaskError(f"there is no split {name!r}; {suggest(str(name), SPLITS)}")
        return (sample for sample in self.samples if sample.split == name)

    @cached_property
    def sizes(self) -> dict[Split, int]:
        """Number of examples in each split."""
        counts = Counter(sample.split for sample in self.samples)
        return {name: counts[name] for name in SPLITS}

    @cached_property
    def class_counts(self) -> dict[str, dict[Split, int]]:
        """Number of examples of each class in each split."""
        counts = Counter((sample.label, sample.split) for sample in self.samples)
        return {name: {s: counts[label, s] for s in SPLITS} for label, name in enumerate(self.classes)}

    def __repr__(self) -> str:
        sizes = " + ".join(f"{self.sizes[name]:,} {name}" for name in SPLITS if self.sizes[name])
        noted = f", {quantity(len(self.notes), 'note')}" if self.notes else ""
        names = short_list(self.classes, most=4)
        return f"Task({self.name!r}, {len(self.classes)} classes ({names}), {sizes}{noted})"
