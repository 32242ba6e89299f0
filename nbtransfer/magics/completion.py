"""Completion of `%transfer`, brought into a shell and taken out again.

One matcher answers for lines, assignments and cells. Hooks for single commands would not do: beside them, IPython goes
on offering Python names.
"""

from __future__ import annotations

import re

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.interactiveshell import InteractiveShell

from nbtransfer.commands.completion import in_recipe, on_line
from nbtransfer.commands.parsing import CommandContext


def add(shell: InteractiveShell, commands: CommandContext) -> None:
    """Complete what belongs to the magic; where there is nothing to offer, others are asked."""

    def match(context: CompletionContext) -> SimpleMatcherResult:
        typed, found = _completions(context, commands)
        # IPython completes only what follows a delimiter such as `:`.
        known = len(re.split(r"\s", typed)[-1]) - len(context.token)
        offered = [SimpleCompletion(text=candidate[known:]) for candidate in found]
        return {"completions": offered, "suppress": bool(offered), "ordered": True}

    shell.Completer.custom_matchers.append(context_matcher()(match))


def remove(shell: InteractiveShell) -> None:
    """Take it away."""
    matchers = shell.Completer.custom_matchers
    matchers[:] = [matcher for matcher in matchers if matcher.__module__ != __name__]


def _completions(context: CompletionContext, commands: CommandContext) -> tuple[str, list[str]]:
    """The text before the cursor that counts, and what may complete its last word."""
    line = context.text_until_cursor
    if context.cursor_line and context.full_text.startswith("%%transfer"):
        above = context.full_text.split("\n")[1 : context.cursor_line]
        return line, in_recipe("\n".join([*above, line]), commands)
    return line, on_line(line, commands)
