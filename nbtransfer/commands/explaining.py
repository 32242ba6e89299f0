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
    """Where in the images a run finds its answers, before and after."""
    from nbtransfer.comparison.compare_runs import explain as compare  # loads NumPy and Pillow

    name, images = _split_words(args.words)
    run = find_run(name, context)
    options: dict[str, Any] = {} if "baseline" not in args else {"baseline": args.baseline}
    if args.before is not None:
        variable = context.names.get(args.before)
        options["before"] = variable if isinstance(variable, Run) else args.before
    comparison = compare(run, images or worst_examples(run), args.target, **options)
    return Outcome(comparison, comparison.table(), comparison.to_dict())


def worst_examples(run: Run, count: int = MISTAKES) -> list[Sample]:
    """The worst examples of a run, mistakes first, from the test split if there is one."""
    split: Split = "test" if run.state.evaluation("test") else "val"
    return [judged.sample for judged in islice(worst_first(run, split), count)]


def _split_words(words: list[str]) -> tuple[str | None, list[str]]:
    """The run and the images among the words: if the first word is not an image, it names the run."""
    if not words or Path(words[0]).suffix.lower() in SUFFIXES or Path(words[0]).is_file():
        return None, words
    return words[0], words[1:]
