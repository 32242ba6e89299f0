"""The command that predicts."""

from __future__ import annotations

import argparse
import glob
from collections.abc import Iterator
from pathlib import Path

from nbtransfer.commands.finding import find_run
from nbtransfer.commands.parsing import CommandContext, Outcome, UsageError
from nbtransfer.core.text.paths import short_path


def predict(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """The answers of a run for files and folders."""
    files = [file for word in args.images for file in _files(word)]
    answers = find_run(args.run, context).predict(files)
    text = answers.table()
    if args.csv is not None:
        written = f"written to {short_path(answers.to_csv(args.csv))}"
        context.say(written)
        text = f"{text}\n\n{written}"
    return Outcome(answers, text, answers.to_dicts(), ok=not answers.problems)


def _files(word: str) -> Iterator[str]:
    """The files that a pattern stands for, since only a shell replaces patterns; any other word as it is."""
    if not glob.has_magic(word) or Path(word).expanduser().exists():
        yield word
        return
    found = sorted(glob.glob(str(Path(word).expanduser()), recursive=True))  # noqa: PTH207 - patterns may be absolute
    if not found:
        raise UsageError(f"no file matches {word!r}; check the pattern")
    yield from found
