"""Find labelled images in a folder tree. Names only: nothing is opened here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nbtransfer.core.task import Split
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list
from nbtransfer.errors import TaskError
from nbtransfer.tasks.decode import SUFFIXES

JUNK_FOLDERS = frozenset({"__MACOSX", "__pycache__"})
JUNK_FILES = frozenset({"Thumbs.db", "desktop.ini"})
SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test", "testing": "test",
}  # fmt: skip


@dataclass
class FolderContents:
    """The contents of a folder tree. `images` are (path, class, split); `split` is None without split folders."""

    images: list[tuple[Path, str, Split | None]] = field(default_factory=list)
    classes: dict[Split | None, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def find_images(root: Path) -> FolderContents:
    """Walk `root/<class>/…` or `root/train/<class>/…` and its siblings; raises TaskError if there are no images."""
    if not root.is_dir():
        raise TaskError(f"{root} is {'a file' if root.exists() else 'missing'}; give a folder with one folder per class")
    found = FolderContents()
    folders = _class_folders(root)
    splits = {SPLIT_FOLDERS[f.name.casefold()]: f for f in folders if f.name.casefold() in SPLIT_FOLDERS}
    if "train" in splits:
        strangers = [f.name for f in folders if f not in splits.values()]
        if strangers:
            found.notes.append(f"left out, because there is a train folder: {short_list(strangers)}")
        for split, folder in splits.items():
            _collect(found, folder, split)
    elif splits:
        raise TaskError(
            f"{root} has {short_list(sorted(f.name for f in splits.values()))} but no train folder; add one, or rename them"
        )
    else:
        _collect(found, root, None)
    if not any(found.classes.values()):
        loose = any(p.suffix.lower() in SUFFIXES for p in root.iterdir())
        hint = " (its images are not in folders; sort them into one folder per class)" if loose else ""
        raise TaskError(f"{root} has no class folders{hint}; expected {root.name}/<class>/<image>")
    return found


def _collect(found: FolderContents, folder: Path, split: Split | None) -> None:
    strangers: list[str] = []
    found.classes[split] = []
    for class_folder in _class_folders(folder):
        found.classes[split].append(class_folder.name)
        for path in _files(class_folder, found.notes):
            if path.suffix.lower() in SUFFIXES:
                found.images.append((path, class_folder.name, split))
            else:
                strangers.append(str(path.relative_to(folder)))
    if strangers:
        found.notes.append(
            f"{quantity(len(strangers), 'file')} without an image suffix left out: {short_list(strangers, most=3)}"
        )


def _class_folders(folder: Path) -> list[Path]:
    entries = sorted(folder.iterdir(), key=lambda p: p.name)
    return [p for p in entries if p.is_dir() and not p.name.startswith(".") and p.name not in JUNK_FOLDERS]


def _files(folder: Path, notes: list[str]) -> Iterator[Path]:
    """All files below a class folder in a fixed order. Linked folders are not entered: links may be circular."""
    for parent, folders, files in os.walk(folder):
        linked = [name for name in folders if Path(parent, name).is_symlink()]
        if linked:
            notes.append(f"linked folders not entered: {short_list(sorted(linked))}")
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in JUNK_FOLDERS and f not in linked)
        for name in sorted(files):
            if not name.startswith(".") and name not in JUNK_FILES:
                yield Path(parent, name)
