"""Find images in a folder tree. Names only: nothing is opened here."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list
from nbtransfer.errors import TaskError
from nbtransfer.tasks.decode import SUFFIXES, UNREADABLE_SUFFIXES

JUNK = frozenset({
    # of operating systems
    "__macosx", "__pycache__", "$recycle.bin", "recycler", "system volume information", "lost+found", "temporary items",
    "network trash folder", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "picasa.ini",
    # of network drives
    "@eadir", "@tmp", "#recycle", "@recycle", "@recently-snapshot", "#snapshot", "~snapshot", "@synoresource",
})  # fmt: skip
"""Names, in lower case, of files and folders that no person made. So are all that begin with a full stop or with `~$`."""

RECOVERED = re.compile(r"found\.[0-9]{3}")
"""Folders of chkdsk, with what it could save."""


@dataclass(frozen=True)
class Folder:
    """One folder of the tree. `name` is in Unicode's composed form, in which equal names are equal text."""

    path: Path
    name: str
    images: tuple[Path, ...]
    others: tuple[Path, ...]
    folders: tuple[Folder, ...]
    links: tuple[str, ...] = ()

    @cached_property
    def count(self) -> int:
        """Number of images at any depth."""
        return len(self.images) + sum(folder.count for folder in self.folders)

    @cached_property
    def filled(self) -> tuple[Folder, ...]:
        """The folders in it that hold images at any depth."""
        return tuple(folder for folder in self.folders if folder.count)

    def walk(self) -> Iterator[Folder]:
        """This folder and all below it, in a fixed order."""
        yield self
        for folder in self.folders:
            yield from folder.walk()


@dataclass
class Tree:
    """The folders below a root, without junk and without what is to be ignored."""

    root: Folder
    notes: list[str] = field(default_factory=list)

    def at(self, place: str | os.PathLike[str]) -> Folder:
        """The folder at a path, absolute or in the root; raises TaskError."""
        wanted = Path(os.path.normpath(self.root.path / Path(place).expanduser()))
        for folder in self.root.walk():
            if folder.path == wanted:
                return folder
        inside = wanted.is_relative_to(self.root.path)
        raise TaskError(f"{wanted} is {'not a folder' if inside else 'outside the task'}; give folders in {self.root.path}")


def read_tree(root: Path, ignore: Sequence[str] = ()) -> Tree:
    """Read the names below a folder; raises TaskError if there is none, or a pattern to ignore fits no name.

    `ignore` are patterns such as "unlabelled", "*_mask.png" or "raw/*", each compared with names and with paths in `root`.
    """
    if not root.is_dir():
        raise TaskError(f"{root} is {'a file' if root.exists() else 'missing'}; give a folder with one folder per class")
    unused, here, entered = set(ignore), Path(os.path.realpath(root)), set[Path]()

    def leads_back(link: Path) -> bool:
        """Whether a linked folder is in the tree already, or would lead into it: links may be circular."""
        target = Path(os.path.realpath(link))
        if target in entered or target.is_relative_to(here) or here.is_relative_to(target):
            return True
        entered.add(target)
        return False

    def is_ignored(path: Path) -> bool:
        place = path.relative_to(root).as_posix()
        matching = {pattern for pattern in ignore if fnmatchcase(path.name, pattern) or fnmatchcase(place, pattern)}
        unused.difference_update(matching)
        return bool(matching)

    def read(path: Path) -> Folder:
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError as error:
            why = f"{path} cannot be read ({error.strerror})"
            raise TaskError(f"{why}; check its permissions, or leave it out with ignore=") from error
        kept = [entry for entry in entries if not is_junk(entry.name) and not is_ignored(path / entry.name)]
        folders = [entry for entry in kept if entry.is_dir()]
        files = [path / entry.name for entry in kept if not entry.is_dir()]
        links = [entry.name for entry in folders if entry.is_symlink() and leads_back(path / entry.name)]
        return Folder(
            path,
            unicodedata.normalize("NFC", path.name),
            tuple(file for file in files if file.suffix.lower() in SUFFIXES),
            tuple(file for file in files if file.suffix.lower() not in SUFFIXES),
            tuple(read(path / entry.name) for entry in folders if entry.name not in links),
            tuple(links),
        )

    tree = Tree(read(root))
    _check_ignored(tree.root, ignore, unused)
    tree.notes = list(_notes(tree.root))
    return tree


def _check_ignored(root: Folder, ignore: Sequence[str], unused: set[str]) -> None:
    """Raise TaskError if a pattern matched nothing, or all of them everything."""
    if unused:
        raise TaskError(
            f"ignore={short_list(sorted(map(repr, unused)))} matches nothing in {root.path}; correct it, or leave it out"
        )
    if ignore and not root.count and read_tree(root.path).root.count:
        names = short_list([*map(repr, ignore)])
        raise TaskError(f"ignore={names} leaves out every image in {root.path}; use narrower patterns")


def folders_of_images(path: Path) -> list[str]:
    """The names of folders in a folder with images right in them. Those that may not be read are of no use, either."""
    return [folder.name for folder in _readable(path) if any(file.suffix.lower() in SUFFIXES for file in _readable(folder))]


def _readable(path: Path) -> list[Path]:
    try:
        return sorted(entry for entry in path.iterdir() if not is_junk(entry.name))
    except OSError:  # also of a file
        return []


def is_junk(name: str) -> bool:
    """Whether no person made a file or folder of this name."""
    return name.startswith((".", "~$")) or name.casefold() in JUNK or RECOVERED.fullmatch(name.casefold()) is not None


def _notes(root: Folder) -> Iterator[str]:
    links = sorted(name for folder in root.walk() for name in folder.links)
    if links:
        yield f"linked folders not followed: {short_list(links)}"
    others = [path for folder in root.walk() for path in folder.others]
    for suffixes, advice in UNREADABLE_SUFFIXES.items():
        left_out = [path for path in others if path.suffix.lower() in suffixes]
        if left_out:
            kind = left_out[0].suffix.lower()
            yield f"{quantity(len(left_out), f'{kind} file')} left out: {advice}"
            others = [path for path in others if path not in set(left_out)]
    if others:
        names = short_list([str(path.relative_to(root.path)) for path in others], most=3)
        yield f"{quantity(len(others), 'file')} without an image suffix left out: {names}"
