"""Images of a task that a run could not use: how many of which split and class, and when they are too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from nbtransfer.core.events import ImageSkipped
from nbtransfer.core.messages import Message, message
from nbtransfer.core.task import SPLITS, Sample, TaskCard
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list


def missing_images(skipped: Sequence[ImageSkipped], task: TaskCard) -> Iterator[str]:
    """One sentence for each reason why images were left out, with their number in each split and class."""
    if not skipped:  # this is asked a few times a second
        return
    samples = {sample.source: sample for sample in task.samples}
    for reason in dict.fromkeys(str(each.reason) for each in skipped):
        sources = [each.source for each in skipped if str(each.reason) == reason]
        lost = [samples[source] for source in sources if source in samples]
        parts = short_list([*_shares(lost, task)])
        yield (
            f"{len(sources):,} of {quantity(len(task.samples), 'image')} left out, each because {reason}: {parts}; "
            f"{short_list(sources, most=3)}"
        )


def _shares(lost: Sequence[Sample], task: TaskCard) -> Iterator[str]:
    splits, classes = Counter(s.split for s in lost), Counter(s.label for s in lost)
    for split in SPLITS:
        if splits[split]:
            yield f"{splits[split]:,} of {task.sizes[split]:,} {split}"
    for label, count in classes.most_common():
        name = task.classes[label]
        yield f"{count:,} of {sum(task.class_counts[name].values()):,} of class {name}"


def too_many_missing(sources: Iterable[str], task: TaskCard, most: float) -> Message | None:
    """Why a run cannot go on without these images; None if no split and no class has lost more than the share `most`."""
    gone = set(sources)
    lost = [sample for sample in task.samples if sample.source in gone]
    splits, classes = Counter(s.split for s in lost), Counter(s.label for s in lost)
    for label, count in classes.most_common():
        name = task.classes[label]
        total = sum(task.class_counts[name].values())
        if count > most * total:
            return _too_many(count, total, f"class {name}", lost, most)
    for split, count in splits.most_common():
        if count > most * task.sizes[split]:
            return _too_many(count, task.sizes[split], f"the {split} split", lost, most)
    return None


def _too_many(count: int, total: int, where: str, lost: Sequence[Sample], most: float) -> Message:
    return message(
        "fail.missing", count=count, total=total, where=where, names=[sample.source for sample in lost[:3]], most=most
    )
