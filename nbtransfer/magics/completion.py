"""Completion of `%transfer`, added to a shell and removed again.

One matcher serves lines, assignments and cells. Hooks for single commands are not enough: IPython would still offer
Python names beside them.
"""

from __future__ import annotations

import re

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.interactiveshell import InteractiveShell

from nbtransfer.commands.completion import in_recipe, on_line
from nbtransfer.commands.parsing import CommandContext


def add(shell: InteractiveShell, commands: CommandContext) -> None:
    """Complete the magic; without any completion, IPython asks its other matchers."""

    def match(context: CompletionContext) -> SimpleMatcherResult:
        typed, found = _completions(context, commands)
        # IPython completes only what follows a delimiter such as `:`.
        known = len(re.split(r"\s", typed)[-1]) - len(context.token)
        offered = [SimpleCompletion(text=candidate[known:]) for candidate in found]
        return {"completions": offered, "suppress": bool(offered), "ordered": True}

    shell.Completer.custom_matchers.append(context_matcher()(match))


def remove(shell: InteractiveShell) -> None:
    """Remove it."""
    matchers = shell.Completer.custom_matchers
    matchers[:] = [matcher for matcher in matchers if matcher.__module__ != __name__]


def _completions(context: CompletionContext, commands: CommandContext) -> tuple[str, list[str]]:
    """The relevant text before the cursor, and completions of its last word."""
    line = context.text_until_cursor
    if context.cursor_line and context.full_text.startswith("%%transfer"):
        above = context.full_text.split("\n")[1 : context.cursor_line]
        return line, in_recipe("\n".join([*above, line]), commands)
    return line, on_line(line, commands)
