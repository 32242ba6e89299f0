"""`Task`: how to make one, and how to look at it."""

from __future__ import annotations

import html
import itertools
import os
import random
import typing
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from PIL import Image

from nbtransfer.core import code
from nbtransfer.core.calls import checked_class
from nbtransfer.core.task import SPLITS, Sample, Split, TaskCard
from nbtransfer.core.text.names import suggest
from nbtransfer.core.text.paths import is_address
from nbtransfer.core.text.tables import html_table
from nbtransfer.errors import TaskError
from nbtransfer.tasks import arrays, datasets, demo, folders, moved, split
from nbtransfer.tasks.check import Findings, OnProblem, Usable, notes_on_near_copies, usable_images
from nbtransfer.tasks.groups import Groups, check_sides, groups_of, joined
from nbtransfer.tasks.near_copies import near_copies, renumbered, signature
from nbtransfer.tasks.scan import Scan, scan
from nbtransfer.tasks.source import ImageSource
from nbtransfer.usercode.module import find_code

DEMO_PREFIX = "demo:"
LEAST_FIELDS = 5
"""What describes a task at least: name, kind, root, classes and samples."""


@checked_class(TaskError, name="task", making=False)
class Task(TaskCard):
    """The target task: labelled images and what to predict."""

    def __init__(self, *given: Any, **fields: Any) -> None:
        if len(given) + len(fields) < LEAST_FIELDS:
            raise TaskError("a Task is not made by its name; call Task.from_folder(path), from_arrays, from_code or demo")
        super().__init__(*given, **fields)

    @classmethod
    def of(cls, card: TaskCard) -> Task:
        """The task a card describes."""
        return cls(**{f.name: getattr(card, f.name) for f in fields(card)})

    @classmethod
    def from_folder(
        cls,
        root: str | os.PathLike[str],
        *,
        holdout: float = 0.2,
        test: float = 0.0,
        seed: int = 0,
        per_class: int | None = None,
        unreadable: OnProblem = "error",
        duplicates: OnProblem = "error",
        groups: Groups | None = None,
        name: str | None = None,
    ) -> Task:
        """Make a task from `root/<class>/<image>`, or from `root/train/<class>/<image>` with optional val and test folders.

        holdout, test   shares of each class for validation and for the final test; ignored for splits that have a folder
        seed            of the split; the same files and seed give the same split
        per_class       use at most this many images of each class, chosen by the seed
        unreadable      "error", or "skip" to leave unreadable files out
        duplicates      the same for exact copies with two labels or in two split folders
        groups          keeps images that belong together in one split: a regular expression over the path in `root`, such as
                        "patient_[0-9]+", or a function of that path

        Reads every file once and stores the result. Copies with other bytes (re-encoded, resized, mirrored) are noted where
        they have two labels or are in two splits. Raises TaskError that lists all problems and names the files.
        """
        if is_address(root):
            raise TaskError(f"{root} is an address in a network; download the images, then give their folder")
        split.check_shares(holdout, test)
        _check_choice("unreadable", unreadable)
        _check_choice("duplicates", duplicates)
        folder = Path(root).expanduser().absolute()
        found = folders.find_images(folder)
        result = scan([path for path, _, _ in found.images])
        findings = Findings(notes=found.notes)
        images = usable_images(found, result, unreadable, duplicates, findings)
        findings.raise_problems(folder)
        images = _limit_per_class(images, per_class, seed)
        classes = tuple(sorted({image.label for image in images}))
        samples = _samples(folder, images, classes, result, (holdout, test, seed), groups)
        numbers = {str(image.path): number for number, image in enumerate(images)}
        places = [numbers.get(fact.path) for fact in result.files]
        findings.notes += notes_on_near_copies(renumbered(result.near_copies, places), samples, classes)
        return cls(name or folder.name, "folder", str(folder), classes, samples, tuple(findings.notes))

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        y: Any,
        *,
        classes: Sequence[str] | None = None,
        holdout: float = 0.2,
        test: float = 0.0,
        seed: int = 0,
        groups: Sequence[Hashable] | None = None,
        name: str = "arrays",
    ) -> Task:
        """Make a task from images in memory.

        x         uint8 (N, H, W, C) or float (N, C, H, W) in 0…1 (rounded to 8 bits), with C = 1 or 3; array or tensor
        y         (N,) whole numbers or class names
        classes   names for the numbers 0, 1, …; without it the labels are the names
        groups    (N,) what each image belongs to, such as a patient: a group is in one split

        The images are written once to the home folder, where background runs map them. Raises TaskError.
        """
        split.check_shares(holdout, test)
        images = arrays.as_images(x)
        labels, names = arrays.as_labels(y, len(images), classes)
        arrays.check_counts(labels, names)
        copies = arrays.copies(images)
        arrays.check_copies(labels, names, copies)
        rows = [str(row) for row in range(len(labels))]
        sides = _divide(labels, names, (holdout, test, seed), copies, rows, groups)
        samples = tuple(map(Sample, rows, labels, sides, copies))
        signatures = [signature(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)) for image in images]
        notes = notes_on_near_copies(near_copies(signatures, copies), samples, names)
        return cls(name, "arrays", str(arrays.keep(images)), names, samples, tuple(notes))

    @classmethod
    def from_code(
        cls,
        dataset: str | Callable[..., Any],
        arguments: Mapping[str, Any] | None = None,
        *,
        classes: Sequence[str] | None = None,
        holdout: float = 0.2,
        test: float = 0.0,
        seed: int = 0,
        groups: Sequence[Hashable] | None = None,
        name: str | None = None,
    ) -> Task:
        """Make a task from a custom dataset, or one of a library, made by code that background runs can see.

        dataset     "NAME.Class" or "NAME.function" in a cell with `%%transfer_code NAME`. It makes an object with a length
                    that returns (image, label) for each number: a PIL image or uint8 (H, W, 3), and a class number or name
        arguments   its keyword arguments: text, numbers and lists only
        classes     names for the numbers 0, 1, …; without it the dataset's own `classes`, else the labels
        groups      what each example belongs to, such as a patient: a group is in one split

        All examples are looked at once, for their labels and for copies. Raises TaskError, or CodeError if the code does not
        work.
        """
        split.check_shares(holdout, test)
        reference = code.reference("dataset", dataset)
        module, given = find_code(reference), datasets.arguments_json(arguments)
        examples = datasets.CustomDataset(reference, module, given)
        labels, names = examples.labels(classes)
        arrays.check_counts(labels, names)
        rows = [str(row) for row in range(len(labels))]
        copies, signatures = examples.look(labels, names)
        arrays.check_copies(labels, names, copies)
        sides = _divide(labels, names, (holdout, test, seed), copies, rows, groups)
        samples = tuple(Sample(row, label, side, "") for row, label, side in zip(rows, labels, sides, strict=True))
        notes = tuple(notes_on_near_copies(near_copies(signatures, copies), samples, names))
        return cls(name or reference, "code", reference, names, samples, notes, code=module, arguments=given)

    @classmethod
    def demo(cls, name: str, **options: Any) -> Task:
        """A real task from a package: "textile" or "digits". Options are those of from_folder or from_arrays."""
        if name == "textile":
            return cls.from_folder(demo.textile_folder(), **{"name": "textile", **options})
        if name == "digits":
            return cls.from_arrays(*demo.digits(), **{"name": "digits", **options})
        raise TaskError(f"there is no demo task {name!r}; {suggest(name, demo.NAMES)}")

    @classmethod
    def named(cls, source: str, **options: Any) -> Task:
        """A task by its name on the command line: a folder of images, or `demo:NAME`. Options are those of from_folder."""
        if source == DEMO_PREFIX + "digits" and options.keys() & {"per_class", "unreadable", "duplicates", "groups"}:
            raise TaskError("per_class, unreadable, duplicates and groups are for folders of images; demo:digits is not one")
        try:
            if source.startswith(DEMO_PREFIX):
                return cls.demo(source.removeprefix(DEMO_PREFIX), **options)
            return cls.from_folder(source, **options)
        except (OSError, ValueError) as error:  # impossible file names, folders without permission
            raise TaskError(f"{source!r} cannot be read: {error}") from error

    def at(self, place: str | os.PathLike[str]) -> Task:
        """The same task with its images in another place, where they lie now: a folder, or the file of an array.

        The content of every image is compared. Raises TaskError if one is missing or another.
        """
        return replace(self, root=moved.root_at(self, Path(place)))

    def some(self, name: str, count: int) -> list[Sample]:
        """The first training examples of a class; raises TaskError if there is no such class."""
        if name not in self.classes:
            raise TaskError(f"there is no class {name!r}; {suggest(name, self.classes)}")
        label = self.classes.index(name)
        return list(itertools.islice((s for s in self.samples if s.label == label and s.split == "train"), count))

    def image(self, sample: Sample, about: int | None = None) -> Image.Image:
        """One example as an RGB image; raises UndecodableError if its file cannot be decoded.

        If `about` pixels on the shorter side are enough, large photographs are decoded faster.
        """
        return ImageSource(self).image(sample, about)

    def _repr_html_(self) -> str:
        used = [name for name in SPLITS if self.sizes[name]]
        rows = [(name, *(counts[s] for s in used)) for name, counts in self.class_counts.items()]
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return f"<p>{html.escape(repr(self))}</p>{html_table(('class', *used), rows)}<ul>{notes}</ul>"


Shares = tuple[float, float, int]
"""Of validation and test, and the seed that chooses them."""


def _samples(
    root: Path, images: Sequence[Usable], classes: tuple[str, ...], result: Scan, shares: Shares, groups: Groups | None
) -> tuple[Sample, ...]:
    numbers = {name: number for number, name in enumerate(classes)}
    copy_of = {path: group[0] for group in result.duplicates for path in group}
    labels = [numbers[image.label] for image in images]
    copies = [copy_of.get(str(image.path), str(image.path)) for image in images]
    sources = [os.path.relpath(image.path, root) for image in images]
    column = None if groups is None else groups_of(groups, sources)
    sides = [image.split for image in images]
    if not any(side in ("val", "test") for side in sides):
        sides = list(_divide(labels, classes, shares, copies, sources, column))
    else:
        if column is not None:
            check_sides(column, sides)
        if "val" not in sides:
            train = [i for i, side in enumerate(sides) if side == "train"]
            inner = None if column is None else [column[i] for i in train]
            known = [[values[i] for i in train] for values in (copies, sources)]
            chosen = _divide([labels[i] for i in train], classes, (shares[0], 0.0, shares[2]), known[0], known[1], inner)
            for i, side in zip(train, chosen, strict=True):
                sides[i] = side
    return tuple(
        Sample(source, label, side or "train", image.digest)
        for source, image, label, side in zip(sources, images, labels, sides, strict=True)
    )


def _divide(
    labels: Sequence[int],
    classes: Sequence[str],
    shares: Shares,
    copies: Sequence[str],
    sources: Sequence[str],
    groups: Groups | None,
) -> list[Split]:
    """Class by class where no groups are given: exact copies are of one class. Groups may hold several classes."""
    if groups is None:
        return split.stratify(labels, *shares, copies, classes)
    return split.divide_groups(labels, *shares, joined(groups_of(groups, sources), copies), classes)


def _limit_per_class(images: list[Usable], per_class: int | None, seed: int) -> list[Usable]:
    if per_class is None:
        return images
    if per_class < 2:
        raise TaskError(f"per_class is {per_class}; each class needs at least 2 images")
    members: dict[tuple[str, str | None], list[Usable]] = defaultdict(list)
    for image in images:
        members[image.label, image.split].append(image)
    kept: set[Path] = set()
    for (label, side), group in members.items():
        chosen = random.Random(f"{seed}/{label}/{side}").sample(group, min(per_class, len(group)))
        kept.update(image.path for image in chosen)
    return [image for image in images if image.path in kept]


def _check_choice(name: str, value: str) -> None:
    choices = typing.get_args(OnProblem)
    if value not in choices:
        raise TaskError(f"{name} is {value!r}; use {' or '.join(map(repr, choices))}")
