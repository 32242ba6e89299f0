"""The command that explains a run."""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path
from typing import Any

from nbtransfer.commands.finding import find_run
from nbtransfer.commands.parsing import CommandContext, Outcome
from nbtransfer.core.task import Sample, Split
from nbtransfer.jobs.run import Run
from nbtransfer.tasks.decode import SUFFIXES
from nbtransfer.ui.pictures import worst_first

MISTAKES = 4


def explain(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Where in its images a run found its answers, before and after."""
    from nbtransfer.comparison.compare_runs import explain as compare  # loads NumPy and Pillow

    named, images = _words(args.words)
    run = find_run(named, context)
    options: dict[str, Any] = {} if "baseline" not in args else {"baseline": args.baseline}
    if args.before is not None:
        variable = context.names.get(args.before)
        options["before"] = variable if isinstance(variable, Run) else args.before
    found = compare(run, images or worst(run), args.target, **options)
    return Outcome(found, found.table(), found.to_dict())


def worst(run: Run, count: int = MISTAKES) -> list[Sample]:
    """The examples a run was most wrong about, mistakes first, of the split its scores are best read from."""
    split: Split = "test" if run.state.evaluation("test") else "val"
    return [judged.sample for judged in islice(worst_first(run, split), count)]


def _words(words: list[str]) -> tuple[str | None, list[str]]:
    """The run and the images among the words: a first word that is no image names the run."""
    if not words or Path(words[0]).suffix.lower() in SUFFIXES or Path(words[0]).is_file():
        return None, words
    return words[0], words[1:]
