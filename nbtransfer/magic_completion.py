"""Hooks that bring completion into a shell, and take it out again."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.interactiveshell import InteractiveShell

from nbtransfer.completion import in_recipe, on_line
from nbtransfer.parsing import Here

_HOOK = "complete_command"
_STARTS = ("%transfer", "%%transfer")
_ASSIGNED = re.compile(r"[^#'\"]*=\s*%transfer\s")


def add(shell: InteractiveShell, here: Here) -> None:
    """Complete lines that begin with the magic, assignments from it, and recipes in cells."""

    def complete(_shell: InteractiveShell, event: SimpleNamespace) -> list[str]:
        return _rest(on_line(event.text_until_cursor, here), event.text_until_cursor, event.symbol)

    for start in _STARTS:
        shell.set_hook(_HOOK, complete, str_key=start)
    shell.set_hook(_HOOK, complete, re_key=_ASSIGNED.pattern)
    shell.Completer.custom_matchers.append(_recipe_matcher(here))


def remove(shell: InteractiveShell) -> None:
    """Take all of it away."""
    hooks = shell.strdispatchers[_HOOK]
    for start in _STARTS:
        hooks.strs.pop(start, None)
    hooks.regexs.pop(_ASSIGNED, None)
    ours = [m for m in shell.Completer.custom_matchers if getattr(m, "__module__", "") == __name__]
    for matcher in ours:
        shell.Completer.custom_matchers.remove(matcher)


def _rest(candidates: list[str], text: str, symbol: str) -> list[str]:
    """Candidates without what stands before `symbol`: IPython completes only what follows a delimiter such as `:`."""
    word = re.split(r"\s", text)[-1]
    return [candidate[len(word) - len(symbol) :] for candidate in candidates]


def _recipe_matcher(here: Here) -> Callable[[CompletionContext], SimpleMatcherResult]:
    def match_recipe(context: CompletionContext) -> SimpleMatcherResult:
        first, _, body = context.full_text.partition("\n")
        lines = body.split("\n")[: context.cursor_line]
        if not first.startswith("%%transfer") or not lines:
            return {"completions": []}
        text = "\n".join([*lines[:-1], lines[-1][: context.cursor_position]])
        found = in_recipe(text, here)
        rest = _rest(found, text, context.token)
        return {"completions": [SimpleCompletion(text=item) for item in rest], "suppress": bool(rest), "ordered": True}

    marked: Callable[[CompletionContext], SimpleMatcherResult] = context_matcher()(match_recipe)
    return marked
