"""Find all problems of a task at once, and report them in one message that names the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nbtransfer.core.task import Sample, Split, split_name
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import of_classes, short_list
from nbtransfer.errors import TaskError
from nbtransfer.tasks.layout import FolderLayout
from nbtransfer.tasks.near_copies import NearCopy
from nbtransfer.tasks.scan import Scan

OnProblem = Literal["error", "skip"]


@dataclass(frozen=True, slots=True)
class Usable:
    """An image that passed: its path, its class, and its split, if the folders say so."""

    path: Path
    label: str
    split: Split | None
    digest: str


@dataclass
class Findings:
    """Problems prevent the task from being made; notes are stored with it."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def raise_problems(self, where: object) -> None:
        if self.problems:
            lines = "\n".join(f"  - {problem}" for problem in self.problems)
            noted = "".join(f"\n  - noted: {note}" for note in self.notes)
            raise TaskError(f"{where} cannot be used yet:\n{lines}{noted}")


def usable_images(
    found: FolderLayout, result: Scan, unreadable: OnProblem, duplicates: OnProblem, findings: Findings
) -> list[Usable]:
    """The usable images; problems with the others are added to `findings`."""
    facts = {fact.path: fact for fact in result.files}
    broken = [fact for fact in result.files if fact.problem]
    if broken:
        names = short_list([f"{_short(Path(fact.path))}: {fact.problem}" for fact in broken])
        text = f"{quantity(len(broken), 'unreadable image')}: {names}"
        _report(text, unreadable, "remove them, or leave them out with unreadable='skip'", findings)
    dropped = {fact.path for fact in broken}
    dropped |= _find_conflicts(found, result, duplicates, findings)
    images = [entry for entry in found.images if str(entry[0]) not in dropped]
    _check_classes(found, images, findings)
    return [Usable(path, label, split, facts[str(path)].digest) for path, label, split in images]


def _find_conflicts(found: FolderLayout, result: Scan, duplicates: OnProblem, findings: Findings) -> set[str]:
    """Exact copies with two labels, or in two splits."""
    place = {str(path): (label, split) for path, label, split in found.images}
    two_labels = [group for group in result.duplicates if len({place[p][0] for p in group}) > 1]
    two_sides = [g for g in result.duplicates if g not in two_labels and len({place[p][1] for p in g}) > 1]
    if two_labels:
        text = f"{quantity(len(two_labels), 'image')} with more than one label: {_groups(two_labels)}"
        _report(text, duplicates, "keep the right copy, or leave all copies out with duplicates='skip'", findings)
    if two_sides:
        text = f"{quantity(len(two_sides), 'image')} in more than one split, so scores would be too good: {_groups(two_sides)}"
        _report(text, duplicates, "keep one copy, or let duplicates='skip' keep only the training copy", findings)
    copies = sum(len(g) - 1 for g in result.duplicates if g not in two_labels and g not in two_sides)
    if copies:
        findings.notes.append(f"{quantity(copies, 'exact copy', 'exact copies')} within one class; copies stay in one split")
    extra = {path for group in two_sides for path in sorted(group, key=lambda p: place[p][1] != "train")[1:]}
    return {path for group in two_labels for path in group} | extra


def notes_on_near_copies(pairs: Iterable[NearCopy], samples: Sequence[Sample], classes: Sequence[str]) -> Iterator[str]:
    """Notes on copies with other bytes that have two labels, or are in two splits."""
    two_labels, two_sides = list[str](), list[str]()
    for pair in pairs:
        one, other = samples[pair.first], samples[pair.second]
        names = f"{_printable(one.source)} = {_printable(other.source)}{' (mirrored)' if pair.how == 'mirrored' else ''}"
        if one.label != other.label:
            two_labels.append(f"{names}: {classes[one.label]}, {classes[other.label]}")
        elif one.split != other.split:
            two_sides.append(f"{names}: {one.split}, {other.split}")
    how = "re-encoded, resized or mirrored"
    if two_labels:
        text = f"{quantity(len(two_labels), 'pair')} of images that look like copies ({how}) with two labels"
        yield f"{text}: {short_list(two_labels, most=3)}; look at them, and keep the right ones"
    if two_sides:
        text = f"{quantity(len(two_sides), 'pair')} of images that look like copies ({how}) in two splits"
        yield f"{text}, so scores may be too good: {short_list(two_sides, most=3)}; remove one of each, or give groups="


def _printable(source: str) -> str:
    return source.encode("utf-8", "replace").decode()


def _check_classes(found: FolderLayout, images: Sequence[tuple[Path, str, Split | None]], findings: Findings) -> None:
    names = set().union(*found.classes.values())
    if len(names) < 2:
        findings.problems.append(f"only one class ({short_list(sorted(names))}); a task needs at least two class folders")
    trained = next((found.classes[split] for split in ("train", None) if split in found.classes), [])
    unknown = sorted(names - set(trained))
    if unknown:
        findings.problems.append(f"no training images of {of_classes(unknown)}; add some, or leave out its others with ignore=")
    counts = Counter((label, split) for _, label, split in images)
    few = [f"{name} ({counts[name, split]})" for split in ("train", None) for name in found.classes.get(split, ())
           if counts[name, split] < 2]  # fmt: skip
    if few:
        findings.problems.append(
            f"too few images to train on: {short_list(few)}; give each class at least 2, or leave its folder out with ignore="
        )
    if "train" in found.classes and not ({"val", "test"} & set(found.classes)):
        findings.notes.append("there is no val folder; validation images were held out from train")


def notes_on_splits(samples: Sequence[Sample], classes: Sequence[str], test: float) -> Iterator[str]:
    """Notes on classes that a hold-out has no example of; `test` is the share of each class that was asked for."""
    counts = Counter((sample.split, sample.label) for sample in samples)
    for split in ("val", "test"):
        missing = [name for label, name in enumerate(classes) if not counts[split, label]]
        if 0 < len(missing) < len(classes):
            name, them = split_name(split), "them" if len(missing) > 1 else "it"
            scores = f"scores on the {name} images say nothing about {them}"
            yield f"there are no {name} images of {of_classes(missing)}: {scores}"
    if test and not any(sample.split == "test" for sample in samples):
        yield f"no test examples: {test:g} of each class rounds to none; use a larger share"


def _report(text: str, policy: OnProblem, advice: str, findings: Findings) -> None:
    if policy == "skip":
        findings.notes.append(f"left out: {text}")
    else:
        findings.problems.append(f"{text} ({advice})")


def _groups(groups: Sequence[Sequence[str]]) -> str:
    return short_list([" = ".join(_short(Path(path)) for path in group) for group in groups], most=3)


def _short(path: Path) -> str:
    """The last folders and the name: enough to find the file, short enough to read. Unprintable bytes become `?`."""
    return "/".join(path.parts[-3:]).encode("utf-8", "replace").decode()
