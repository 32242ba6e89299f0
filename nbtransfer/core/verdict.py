"""The verdict on a run: how it ended, how good it is on what, what is missing, and what to distrust.

Everything that shows a run says it in these words: its repr, `wait`, `status`, the dashboard, the report and the export.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from nbtransfer.core.evaluation import Evaluation
from nbtransfer.core.missing import missing_images
from nbtransfer.core.state import RunState
from nbtransfer.core.task import TaskCard, split_name
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import of_classes


@dataclass(frozen=True, slots=True)
class Verdict:
    """`headline` is one clause: status, score, and why it ended. `caveats` are what to know before the score is believed."""

    headline: str
    caveats: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([self.headline, *(f"  - {caveat}" for caveat in self.caveats)])

    def __repr__(self) -> str:
        return f"Verdict({self.headline}{'; ' if self.caveats else ''}{'; '.join(self.caveats)})"


def verdict(state: RunState, task: TaskCard) -> Verdict:
    """What is known of a run on this task by now."""
    caveats = [*missing_images(state.skipped, task), *_ended_early(state)]
    found = state.final_evaluation
    if found is not None:
        caveats += _on_scores(found, tested=state.evaluation("test") is not None)
    return Verdict(state.headline, (*caveats, *state.warnings))


def _ended_early(state: RunState) -> Iterator[str]:
    """Phases that did fewer epochs than planned although the run came to its end."""
    if state.status != "finished" or state.prepared is None:
        return
    done = Counter(row.phase for row in state.history)
    for phase in state.prepared.phases:
        if done[phase.name] < phase.epochs:
            yield (
                f"{phase.name} ended after {done[phase.name]} of {quantity(phase.epochs, 'epoch')}: the validation score had "
                "stopped improving"
            )


def _on_scores(found: Evaluation, *, tested: bool) -> Iterator[str]:
    if not tested:
        yield (
            "there are no test images: the best epoch was chosen on the validation images, so their score is slightly "
            "optimistic; hold out test images with test=0.2"
        )
    scores = found.per_class()
    missed = [score.name for score in scores if score.recall == 0]
    if missed:
        yield f"none of the {split_name(found.split)} images of {of_classes(missed)} is recognised (recall 0)"
    absent = [score.name for score in scores if not score.examples]
    if absent:
        them = "them" if len(absent) > 1 else "it"
        yield f"there are no {split_name(found.split)} images of {of_classes(absent)}, so the score says nothing about {them}"
    most = max(scores, key=lambda score: score.examples)
    always = most.examples / found.examples
    if found.accuracy <= always:
        yield f"accuracy {found.accuracy:.3f} is no better than always answering {most.name!r} ({always:.3f})"
    elif found.interval.low <= always:
        yield (
            f"accuracy {found.accuracy:.3f} is not clearly better than always answering {most.name!r} ({always:.3f}): its "
            f"interval begins at {found.interval.low:.3f}"
        )
