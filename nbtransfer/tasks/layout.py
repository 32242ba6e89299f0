"""Which folder holds which class, and which split, as a pattern of levels or the folders of each split say."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from nbtransfer.core.task import SPLITS, Split
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list
from nbtransfer.errors import TaskError
from nbtransfer.tasks.folders import Folder, Tree

CLASS, SPLIT, ANY = "class", "split", "*"
ROLES: dict[str, Split] = {
    "train": "train", "training": "train", "trn": "train",
    "val": "val", "valid": "val", "validation": "val", "validate": "val", "dev": "val", "eval": "val", "evaluation": "val",
    "holdout": "val", "control": "val",
    "test": "test", "testing": "test", "tst": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A folder with the images of one class, in one split if the folders say so."""

    folder: Folder
    label: str
    split: Split | None


@dataclass
class FolderLayout:
    """The places of a task, what they look like in words, and notes on what is left out."""

    pattern: str
    places: list[Place]
    notes: list[str] = field(default_factory=list)

    @cached_property
    def images(self) -> list[tuple[Path, str, Split | None]]:
        return [
            (path, place.label, place.split)
            for place in self.places
            for folder in place.folder.walk()
            for path in folder.images
        ]

    @cached_property
    def classes(self) -> dict[Split | None, list[str]]:
        """The class names of each split, in order."""
        splits = dict.fromkeys(place.split for place in self.places)
        return {split: self.classes_of(split) for split in splits}

    def classes_of(self, split: Split | None) -> list[str]:
        return list(dict.fromkeys(place.label for place in self.places if place.split == split))

    def __str__(self) -> str:
        names = sorted({place.label for place in self.places})
        counts: Counter[str] = Counter()
        for place in self.places:
            counts[place.split or "images"] += place.folder.count
        sizes = " + ".join(f"{counts[name]:,} {name}" for name in (*SPLITS, "images") if name in counts)
        return f"{self.pattern}: {quantity(len(names), 'class', 'classes')} ({short_list(names)}), {sizes}"


def role_of(name: str) -> Split | None:
    """The split that a folder is named after: `test`, `training_set`, `seg_train`, `val2017`."""
    roles = {ROLES[word] for word in re.split(r"[^a-z]+", name.casefold()) if word in ROLES}
    return roles.pop() if len(roles) == 1 else None


def unwrapped(folder: Folder) -> Folder:
    """The folder itself, or the one in it that wraps all it holds, as `training_set/training_set`."""
    while not folder.images and len(folder.filled) == 1 and folder.filled[0].filled:
        folder = folder.filled[0]
    return folder


def of_splits(tree: Tree, pattern: str | None, given: Mapping[Split, Sequence[str | os.PathLike[str]]]) -> FolderLayout:
    """Folders for each split, each with class folders as in `pattern`."""
    parts = _parts(pattern or CLASS)
    if SPLIT in parts:
        raise TaskError(f"give either layout={pattern!r} or the folders of each split, not both")
    layout, where = FolderLayout("", []), []
    folders = [(side, tree.at(path)) for side in SPLITS for path in given.get(side, ())]
    _check_apart(folders, tree.root)
    for split, at in folders:
        folder = at if pattern else unwrapped(at)
        if split != "train" and _is_unlabelled(folder, layout.classes_of("train")):
            layout.notes.append(_left_out(folder, tree.root, folder.count))
            continue
        found = list(_match(folder, parts, split, None))
        if not found and split != "train":
            raise _none_inside(folder, tree.root, parts)
        layout.places += found
        layout.notes += _loose(folder, tree.root)
        where.append(f"{_name(folder, tree.root)} ({split})")
    layout.pattern = f"{', '.join(where)}, {_in_words(parts)}"
    if not layout.classes_of("train"):
        raise TaskError(f"{tree.root.path} has no class folders to train on; say where they are, such as train='images/train'")
    return layout


def _check_apart(folders: Sequence[tuple[Split, Folder]], root: Folder) -> None:
    """Raise TaskError if an image would be in two of the folders."""
    for (split, one), (other_split, other) in itertools.combinations(folders, 2):
        names = _name(one, root), _name(other, root)
        if one.path == other.path:
            twice = f"twice for {split}" if split == other_split else f"for {split} and for {other_split}"
            raise TaskError(f"{names[0]} is given {twice}; give each folder once")
        if one.path.is_relative_to(other.path) or other.path.is_relative_to(one.path):
            inner, outer = names if one.path.is_relative_to(other.path) else names[::-1]
            raise TaskError(f"{inner} is inside {outer}, and both are given; give folders that do not contain one another")


def _is_unlabelled(folder: Folder, classes: Collection[str]) -> bool:
    """Whether a hold-out has no class folders, or a single one that is no class."""
    return not folder.filled or (len(folder.filled) == 1 and folder.filled[0].name not in classes)


def fitting(root: Folder, pattern: str) -> FolderLayout:
    """The layout of a pattern, such as "class", "split/class" or "*/class"."""
    parts = _parts(pattern)
    layout = FolderLayout(_in_words(parts), list(_match(root, parts, None, None)), list(_loose(root, root)))
    if not layout.places:
        raise TaskError(f"layout={pattern!r} matches no folder in {root.path}; its folders are {_outline(root)}")
    if SPLIT in parts and not layout.classes_of("train"):
        raise TaskError(f"layout={pattern!r} finds no train folder in {root.path}; its folders are {_outline(root)}")
    if parts[0] == SPLIT:
        _check_splits_fit(layout, root, parts)
    return layout


def _check_splits_fit(layout: FolderLayout, root: Folder, parts: Sequence[str]) -> None:
    """Raise TaskError if a folder named after a split has images, but none where the pattern looks; note unlabelled ones."""
    for folder in root.filled:
        if not role_of(folder.name) or any(place.folder.path.is_relative_to(folder.path) for place in layout.places):
            continue
        if not _is_unlabelled(folder, layout.classes_of("train")):
            raise _none_inside(folder, root, parts[1:])
        layout.notes.append(_left_out(folder, root, folder.count))


def _none_inside(folder: Folder, root: Folder, parts: Sequence[str]) -> TaskError:
    return TaskError(
        f"{_name(folder, root)} has {quantity(folder.count, 'image')}, but not in {_in_words(parts)}; its folders are "
        f"{_outline(folder)}"
    )


def _match(folder: Folder, parts: Sequence[str], split: Split | None, label: str | None) -> Iterator[Place]:
    if not parts:
        assert label is not None
        yield Place(folder, label, split)
        return
    part, *rest = parts
    for inner in folder.folders:
        if part == CLASS:
            yield from _match(inner, rest, split, inner.name)
        elif part == SPLIT:
            if role := role_of(inner.name):
                yield from _match(inner, rest, role, label)
        elif fnmatchcase(inner.name, part):
            yield from _match(inner, rest, split, label)


def _parts(pattern: str) -> list[str]:
    parts = pattern.strip("/").split("/") if isinstance(pattern, str) else []
    if parts.count(CLASS) != 1 or parts.count(SPLIT) > 1:
        raise TaskError(
            f"layout is {pattern!r}; name each level of folders: class, split, * for any, or a name, such as 'split/class' "
            "or '*/class'"
        )
    return parts


def _in_words(parts: Sequence[str]) -> str:
    return "one folder per class" if list(parts) == [CLASS] else f"folders {'/'.join(parts)}"


def _loose(folder: Folder, root: Folder) -> Iterator[str]:
    """Images beside class folders have no label."""
    if folder.images and folder.folders:
        yield _left_out(folder, root, len(folder.images))


def _left_out(folder: Folder, root: Folder, count: int) -> str:
    where = _name(folder, root)
    have, them = ("has", "it") if count == 1 else ("have", "them")
    without = f"{quantity(count, 'image')} in {where} {have} no class folder, so no label"
    return f"{without}: left out; use run.predict on {them} after training"


def _name(folder: Folder, root: Folder) -> str:
    return folder.path.relative_to(root.path).as_posix() if folder is not root else root.name


def _outline(root: Folder) -> str:
    return short_list([f"{folder.name}/{inner.name}" if inner else folder.name for folder in root.folders
                       for inner in (folder.folders[:2] or (None,))]) or "none"  # fmt: skip
