"""Recognise the layout of a folder from the whole picture.

No name decides alone: `train` may be a class of vehicles and `valid` one of tickets. Folders are splits if they have such
names and their sub-folders are the same classes. What can be read in two ways is refused, with both.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from nbtransfer.core.task import SPLITS, Split
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list
from nbtransfer.errors import TaskError
from nbtransfer.tasks.folders import Folder, Tree, folders_of_images
from nbtransfer.tasks.layout import ANY, CLASS, SPLIT, FolderLayout, fitting, of_splits, role_of, unwrapped

UNSORTED = frozenset({"images", "imgs", "unlabelled", "unlabeled", "unsup", "unsorted"})
"""Names of folders that are probably not classes."""
HOLD_OUTS = frozenset({"val", "valid", "validation", "validate", "eval", "evaluation", "holdout", "test", "testing", "tst"})
"""Names of hold-outs. Of the other words for one, `control` and `dev` are likely classes."""
SHARED = 0.6
"""Sub-folder names are the same everywhere if each is in this share of the folders, on average."""


def find_layout(tree: Tree, pattern: str | None, given: Mapping[Split, Sequence[str | os.PathLike[str]]]) -> FolderLayout:
    """The layout that is given, or the one recognised; raises TaskError with the candidates if there are several, or none."""
    try:
        return _found(tree, pattern, given)
    except TaskError as error:
        noted = "".join(f"\n  - noted: {note}" for note in tree.notes)
        raise TaskError(f"{error}{noted}") from error


def _found(tree: Tree, pattern: str | None, given: Mapping[Split, Sequence[str | os.PathLike[str]]]) -> FolderLayout:
    if given:
        if pattern is None:
            _check_given(tree, given)
        return of_splits(tree, pattern, given)
    if pattern is not None:
        return fitting(tree.root, pattern)
    if not tree.root.filled:
        hint = f" (its images are not in folders; {_sorting(tree.root.path)})" if tree.root.images else ""
        raise TaskError(f"{tree.root.path} has no class folders with images{hint}; expected {tree.root.name}/<class>/<image>")
    return _recognise(tree.root)


def _sorting(root: Path) -> str:
    """What to do with a folder of images: it may be one class of several."""
    beside = folders_of_images(root.parent)
    parent = f", or, if {root.name} is a class, give {root.parent}, which has {short_list(beside)}" if len(beside) > 1 else ""
    return f"sort them into one folder per class{parent}"


def _recognise(root: Folder) -> FolderLayout:
    folders = root.filled
    named = [folder for folder in folders if role_of(folder.name)]
    splits = [folder for folder in named if unwrapped(folder).filled]
    has_train = any(role_of(folder.name) == "train" for folder in splits)
    if has_train:
        _check_splits(root, splits, [folder for folder in folders if folder not in named])
        _check_levels(root, splits)
        return _of_splits(root)
    if len(folders) > 1 and named == list(folders) and len({role_of(folder.name) for folder in named}) > 1:
        raise _without_train(root, splits)
    if len(folders) == 1 and folders[0].filled:
        raise _too_high(root)
    if _split_within_class(folders):
        return fitting(root, f"{CLASS}/{SPLIT}")
    if _may_be_batches(folders):
        raise _ambiguous(root, CLASS, f"{ANY}/{CLASS}")
    _check_each_is_a_class(root)
    return fitting(root, CLASS)


def _check_splits(root: Folder, splits: Sequence[Folder], others: Sequence[Folder]) -> None:
    """Raise TaskError unless folders named after splits can only be that."""
    names = {inner.name for folder in splits if role_of(folder.name) == "train" for inner in unwrapped(folder).filled}
    alike = [folder for folder in others if names & {inner.name for inner in unwrapped(folder).filled}]
    if alike:
        raise TaskError(
            f"{root.path} has {short_list([folder.name for folder in alike])} beside {short_list([f.name for f in splits])}, "
            f"with the same class folders; say what is what, such as train=[{splits[0].name!r}, {alike[0].name!r}], or leave "
            f"it out with ignore={alike[0].name!r}"
        )
    agree = all(2 * sum(inner.name in names for inner in unwrapped(f).filled) >= len(unwrapped(f).filled) for f in splits)
    alone = len({role_of(folder.name) for folder in root.filled} - {None}) == 1
    if any(folder.name.casefold() not in UNSORTED for folder in others) and (alone or not agree):
        raise _ambiguous(root, CLASS, f"{SPLIT}/{CLASS}")


def _check_levels(root: Folder, splits: Sequence[Folder]) -> None:
    """Raise TaskError if the folders in a train folder may be classes, or batches that each hold the classes."""
    held_out = [folder for folder in splits if role_of(folder.name) != "train"]
    for folder in splits:
        if role_of(folder.name) == "train" and (patterns := _two_levels(folder)):
            _check_same_level(root, folder, held_out)
            raise _ambiguous(root, *(f"{SPLIT}/{pattern}" for pattern in patterns))


def _check_given(tree: Tree, given: Mapping[Split, Sequence[str | os.PathLike[str]]]) -> None:
    """The same for folders that are given to train on."""
    held_out = [tree.at(path) for split in ("val", "test") for path in given.get(split, ())]
    for path in given.get("train", ()):
        if patterns := _two_levels(tree.at(path)):
            _check_same_level(tree.root, tree.at(path), held_out)
            raise _two_ways(tree.root, {pattern: of_splits(tree, pattern, given) for pattern in patterns})


def _check_same_level(root: Folder, train: Folder, held_out: Sequence[Folder]) -> None:
    """Raise TaskError if a hold-out has class folders where the train folder has batches of them."""
    batches = unwrapped(train).filled
    classes = {inner.name for batch in batches for inner in unwrapped(batch).filled}
    for folder in held_out:
        if not folder.path.is_relative_to(train.path) and {inner.name for inner in folder.filled} <= classes:
            inside = [batch.path.relative_to(root.path).as_posix() for batch in batches]
            raise TaskError(
                f"{root.path} has the folders {short_list(sorted(classes))} in {folder.name} itself, but in {train.name} only "
                f"in its folders {short_list([batch.name for batch in batches])}; name the folders that hold the classes, "
                f"such as train={inside!r} with the others as they are"
            )


def _two_levels(folder: Folder) -> tuple[str, ...]:
    """The two patterns that may fit in a train folder; none if only one does."""
    inner = unwrapped(folder)
    if not _may_be_batches(inner.filled):
        return ()
    wrapping = f"{ANY}/" * len(inner.path.relative_to(folder.path).parts)
    return f"{wrapping}{CLASS}", f"{wrapping}{ANY}/{CLASS}"


def _without_train(root: Folder, splits: Sequence[Folder]) -> TaskError:
    names = short_list([folder.name for folder in root.filled])
    if splits:
        return TaskError(f"{root.path} has {names} but no train folder; add one, or name the training folder with train='…'")
    return TaskError(
        f"{root.path} has {names} with images in them, but no class folders; sort each into one folder per class, or say "
        "with layout='class' that they are the classes"
    )


def _too_high(root: Folder) -> TaskError:
    """Names the folder further down that holds a task."""
    level = root
    while len(level.filled) == 1 and level.filled[0].filled:
        level = level.filled[0]
    names = short_list([folder.name for folder in level.filled])
    return TaskError(f"{root.path} has no class folders, but {level.path} has the folders {names}; give that one")


def _split_within_class(folders: Sequence[Folder]) -> bool:
    """Whether every folder holds a train folder and others named after splits, and nothing else."""
    inside = [inner for folder in folders for inner in folder.filled]
    each = [{role_of(inner.name) for inner in folder.filled} for folder in folders]
    if len(folders) < 2 or not all("train" in roles and None not in roles for roles in each):
        return False
    if any(inner.filled for inner in inside):
        names = short_list([folder.name for folder in folders])
        raise TaskError(f"{folders[0].path.parent} holds several tasks, {names}; give one of these folders")
    return True


def _check_each_is_a_class(root: Folder) -> None:
    """Raise TaskError if one of the class folders has the name of something else."""
    names = [folder.name for folder in root.filled]
    held_out = [name for name in names if re.sub(r"[^a-z]", "", name.casefold()) in HOLD_OUTS]
    _check_no_hold_out(root, held_out)
    if len(names) - len(held_out) < 2:
        held_out = []  # without them there is no task: `valid` and `invalid` tickets
    doubtful = [name for name in names if name.casefold() in UNSORTED or name in held_out]
    if not doubtful or len(names) < 2:
        return
    one, several = doubtful[0], len(doubtful) > 1
    leave = f"leave them out with ignore={doubtful!r}" if several else f"leave it out with ignore={one!r}"
    what = "probably not classes" if several else "probably not a class"
    say = f"say with layout='class' that {'they are classes' if several else 'it is one'}"
    unlabelled = any(name.casefold().startswith("un") or name in held_out for name in doubtful)
    predict = f"; a trained run can predict {'their' if several else 'its'} images" if unlabelled else ""
    raise TaskError(f"{root.path} has class folders beside {short_list(doubtful)}, {what}; {leave}, or {say}{predict}")


def _check_no_hold_out(root: Folder, names: Collection[str]) -> None:
    """Raise TaskError if one of these folders holds folders named after the class folders beside it."""
    classes = [folder.name for folder in root.filled if folder.name not in names]
    for folder in root.filled:
        if folder.name in names and {inner.name for inner in unwrapped(folder).filled} & set(classes):
            raise TaskError(
                f"{root.path} has class folders beside {folder.name}, with the same class folders; move {short_list(classes)} "
                f"into a folder train, or leave {folder.name} out with ignore={folder.name!r}"
            )


def _may_be_batches(folders: Sequence[Folder]) -> bool:
    """Whether most of the folders hold folders of the same names, which may be the classes. One name is no two classes."""
    holding = [folder for folder in folders if unwrapped(folder).filled]
    names = Counter(name for folder in holding for name in {inner.name for inner in unwrapped(folder).filled})
    if min(len(holding), len(names)) < 2 or len(holding) <= len(folders) / 2:
        return False
    return sum(names.values()) >= SHARED * len(holding) * len(names)


def _ambiguous(root: Folder, *patterns: str) -> TaskError:
    return _two_ways(root, {pattern: fitting(root, pattern) for pattern in patterns})


def _two_ways(root: Folder, layouts: Mapping[str, FolderLayout]) -> TaskError:
    readings = "; ".join(f"layout={pattern!r} reads it as {layout}" for pattern, layout in layouts.items())
    return TaskError(f"{root.path} can be read in two ways; choose one: {readings}")


def _of_splits(root: Folder) -> FolderLayout:
    named = {folder: role for folder in root.folders if (role := role_of(folder.name))}
    places = {split: [folder.path for folder, role in named.items() if role == split] for split in SPLITS}
    layout = of_splits(Tree(root), None, {split: paths for split, paths in places.items() if paths})
    strangers = [folder for folder in root.filled if folder not in named]
    if strangers:
        which = short_list([f"{quantity(folder.count, 'image')} in {folder.name}" for folder in strangers])
        them = "it" if sum(folder.count for folder in strangers) == 1 else "them"
        layout.notes.append(f"left out, because there is a train folder: {which}; use run.predict on {them} after training")
    return layout
