"""`Task`: how to make one, and how to look at it."""

from __future__ import annotations

import html
import itertools
import os
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nbtransfer.core import code
from nbtransfer.core.calls import checked_class
from nbtransfer.core.task import SPLITS, Reading, Sample, Split, TaskCard
from nbtransfer.core.text.names import suggest
from nbtransfer.core.text.paths import is_address
from nbtransfer.core.text.tables import html_table
from nbtransfer.errors import TaskError
from nbtransfer.tasks import arrays, datasets, demo, moved, split
from nbtransfer.tasks.check import Findings, OnProblem, Usable, notes_on_near_copies, notes_on_splits, usable_images
from nbtransfer.tasks.decode import AS_IS
from nbtransfer.tasks.folders import read_tree
from nbtransfer.tasks.groups import Groups
from nbtransfer.tasks.layout import FolderLayout
from nbtransfer.tasks.near_copies import near_copies, renumbered, signature
from nbtransfer.tasks.recognise import find_layout
from nbtransfer.tasks.samples import divide, limit_per_class, samples_of
from nbtransfer.tasks.scan import Scan, measured, scan
from nbtransfer.tasks.source import ImageSource
from nbtransfer.tasks.stack import stack_of
from nbtransfer.usercode.module import find_code

DEMO_PREFIX = "demo:"
LEAST_FIELDS = 5
"""What describes a task at least: name, kind, root, classes and samples."""


@checked_class(TaskError, name="task", making=False)
class Task(TaskCard):
    """The target task: labelled images and what to predict."""

    def __init__(self, *given: Any, **fields: Any) -> None:
        if len(given) + len(fields) < LEAST_FIELDS:
            raise TaskError("a Task cannot be created directly; call Task.from_folder(path), from_arrays, from_code or demo")
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
        test: float | str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = 0.0,
        seed: int = 0,
        per_class: int | None = None,
        unreadable: OnProblem = "error",
        duplicates: OnProblem = "error",
        groups: Groups | None = None,
        layout: str | None = None,
        train: Folders = None,
        val: Folders = None,
        ignore: str | Sequence[str] = (),
        white_level: int | None = None,
        max_aspect: float = AS_IS.max_aspect,
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
        layout          what the levels of folders are, where that is not recognised: "class", "split/class", "*/class" (any
                        folder, then classes), or with names, such as "photos/class"
        train, val      the folders in `root` that hold the classes of a split, one or several. So does `test`, instead of a
                        share
        ignore          patterns of names or paths to leave out, such as "unlabelled" or "*_mask.png"
        white_level     the value that is white in 16-bit images; None takes the largest of as many bits as are in use
        max_aspect      how many times longer than the other a side may be

        Reads every file once and stores the result. Copies with other bytes (re-encoded, resized, mirrored) are noted where
        they have two labels or are in two splits. Raises TaskError that lists all problems and names the files.
        """
        folder = _folder_at(root)
        share, tested = (test, None) if isinstance(test, (int, float, np.number)) else (0.0, test)
        split.check_shares(holdout, share)
        _check_choices(unreadable=unreadable, duplicates=duplicates)
        reading = Reading(65_535 if white_level is None else white_level, max_aspect)
        tree = read_tree(folder, _several(ignore))
        found = find_layout(tree, layout, _given(train=train, val=val, test=tested))
        findings = Findings(notes=[*tree.notes, *found.notes])
        images, result = _checked_images(folder, found, max_aspect, (unreadable, duplicates), findings)
        images = limit_per_class(images, per_class, seed)
        reading, noted = measured(reading, result.brightest) if white_level is None else (reading, [])
        classes = tuple(sorted({image.label for image in images}))
        samples = samples_of(folder, images, classes, result, (holdout, share, seed), groups)
        notes = (*findings.notes, *noted, *_notes_on_samples(images, samples, classes, result, share))
        return cls(name or folder.name, "folder", str(folder), classes, samples, notes, layout=str(found), reading=reading)

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
        white_level: int | None = None,
        max_aspect: float = AS_IS.max_aspect,
        name: str = "arrays",
    ) -> Task:
        """Make a task from images in memory.

        x             (N, H, W, C) or (N, C, H, W) with C = 1, 3 or 4, or grey (N, H, W): uint8, bool, uint16 or floats in
                      0…1, which become 8 bits; array or tensor. Or a list of images of one size, in any form that `predict`
                      takes
        y             (N,) whole numbers or class names: an array, a list or a column of a table
        classes       names for the numbers 0, 1, …, or the order of the names in `y`; without it the labels are the names
        groups        (N,) what each image belongs to, such as a patient: a group is in one split
        white_level   the value that is white in 16-bit images; None takes the largest of as many bits as are in use
        max_aspect    how many times longer than the other a side may be

        The images are written once to the home folder, where background runs map them. Raises TaskError.
        """
        split.check_shares(holdout, test)
        images, reading, noted = stack_of(x, white_level, max_aspect)
        labels, names = arrays.as_labels(y, len(images), classes)
        arrays.check_counts(labels, names)
        copies = arrays.copies(images)
        arrays.check_copies(labels, names, copies)
        rows = [str(row) for row in range(len(labels))]
        sides = divide(labels, names, (holdout, test, seed), copies, rows, groups)
        samples = tuple(map(Sample, rows, labels, sides, copies))
        signatures = [signature(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)) for image in images]
        near = notes_on_near_copies(near_copies(signatures, copies), samples, names)
        notes = (*noted, *notes_on_splits(samples, names, test), *near)
        return cls(name, "arrays", str(arrays.keep(images)), names, samples, notes, reading=reading)

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
        sides = divide(labels, names, (holdout, test, seed), copies, rows, groups)
        samples = tuple(Sample(row, label, side, "") for row, label, side in zip(rows, labels, sides, strict=True))
        notes = (*notes_on_splits(samples, names, test), *notes_on_near_copies(near_copies(signatures, copies), samples, names))
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
        for_folders = sorted(options.keys() - {"holdout", "test", "seed", "name", "white_level", "max_aspect"})
        if source == DEMO_PREFIX + "digits" and for_folders:
            raise TaskError(f"{', '.join(for_folders)}: for folders of images only, and demo:digits is not one")
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
        about = f"{html.escape(repr(self))}<br>{html.escape(self.layout)}" if self.layout else html.escape(repr(self))
        return f"<p>{about}</p>{html_table(('class', *used), rows)}<ul>{notes}</ul>"


Folders = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None


def _checked_images(
    folder: Path, found: FolderLayout, max_aspect: float, on_problem: tuple[OnProblem, OnProblem], findings: Findings
) -> tuple[list[Usable], Scan]:
    """The images that can be used, and what every file is like; raises TaskError that lists all problems.

    `on_problem` says what to do about unreadable files and about duplicates.
    """
    result = scan([path for path, _, _ in found.images], max_aspect)
    images = usable_images(found, result, *on_problem, findings)
    findings.raise_problems(folder)
    return images, result


def _notes_on_samples(
    images: Sequence[Usable], samples: Sequence[Sample], classes: Sequence[str], result: Scan, test: float
) -> Iterator[str]:
    """Notes on hold-outs that lack a class, and on near copies; `samples` are those of the images, in their order."""
    numbers = {str(image.path): number for number, image in enumerate(images)}
    places = [numbers.get(fact.path) for fact in result.files]
    yield from notes_on_splits(samples, classes, test)
    yield from notes_on_near_copies(renumbered(result.near_copies, places), samples, classes)


def _several(given: Any) -> tuple[Any, ...]:
    """One name or several, as a tuple."""
    if given is None:
        return ()
    return (given,) if isinstance(given, (str, os.PathLike)) else tuple(given)


def _given(**paths: Folders) -> dict[Split, tuple[Any, ...]]:
    return {name: _several(of) for name, of in paths.items() if _several(of)}  # type: ignore[misc]


def _folder_at(root: str | os.PathLike[str]) -> Path:
    if root == "":
        raise TaskError("the path of the folder is empty; give its path, or '.' for the current folder")
    if is_address(root):
        raise TaskError(f"{root} is a URL; download the images, then give their folder")
    return Path(root).expanduser().absolute()


def _check_choices(**given: str) -> None:
    choices = typing.get_args(OnProblem)
    for name, value in given.items():
        if value not in choices:
            raise TaskError(f"{name} is {value!r}; use {' or '.join(map(repr, choices))}")
