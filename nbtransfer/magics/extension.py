"""`%transfer`, `%%transfer` and `%%transfer_code`: split the words, run the command, return its value to the notebook."""

from __future__ import annotations

import keyword
import re
import shlex
from typing import Any
from weakref import WeakKeyDictionary

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

from nbtransfer.commands import arguments, choosing, recipe_text, starting
from nbtransfer.commands import tree as commands
from nbtransfer.commands.parsing import CommandContext, HelpShown, Outcome, Parser
from nbtransfer.core.code import Code
from nbtransfer.core.text.names import short_list
from nbtransfer.errors import NbTransferError
from nbtransfer.jobs.draft import Draft
from nbtransfer.magics import completion
from nbtransfer.magics.progress import watch
from nbtransfer.usercode.module import code

NAME, CODE_NAME = "transfer", "transfer_code"
_LEFT_OVER = re.compile(r"\{\s*([^{}]*?)\s*\}|\$\{?([A-Za-z_]\w*)")
_drafts: WeakKeyDictionary[InteractiveShell, Draft] = WeakKeyDictionary()  # dashboards may show a draft after an unload


def load(shell: InteractiveShell) -> None:
    """Register the magics and their completion. Repeating it changes nothing."""
    unload(shell)
    magics = Magics(shell)
    shell.magics_manager.register_function(magics.transfer, "line_cell", NAME)
    shell.magics_manager.register_function(magics.transfer_code, "cell", CODE_NAME)
    completion.add(shell, magics.context)


def unload(shell: InteractiveShell) -> None:
    """Remove the magics and their completion. Runs and views are not affected."""
    for registered in shell.magics_manager.magics.values():
        for name in (NAME, CODE_NAME):
            registered.pop(name, None)
    completion.remove(shell)


class Magics:
    """The magics of one shell."""

    def __init__(self, shell: InteractiveShell) -> None:
        draft = _drafts.setdefault(shell, Draft())
        self.context = CommandContext("%transfer", "notebook", draft, watch, print, shell.user_ns)
        self.shell = shell

    def transfer(self, line: str, cell: str | None = None) -> Any:
        try:
            words = split(line)
            return self._line(words) if cell is None else self._cell(words, cell)
        except HelpShown:
            return None
        except NbTransferError as error:
            raise UsageError(str(error)) from None
        except KeyboardInterrupt:
            raise UsageError("interrupted; runs continue in the background (stop one with %transfer stop)") from None

    transfer.__doc__ = commands.parser("%transfer", "notebook").format_help()

    def transfer_code(self, line: str, cell: str) -> None:
        """Make the cell a module for runs: after `%%transfer_code NAME`, recipes use transform="NAME.function".

        It has no access to the notebook, so it begins with its imports. The module is also a variable of the notebook.
        """
        words = split(line)
        if len(words) != 1:
            raise UsageError("%%transfer_code: name the module, as in `%%transfer_code augment`")
        try:
            module = code(words[0], cell)
        except NbTransferError as error:
            raise UsageError(str(error)) from error
        self.shell.user_ns[words[0]] = module
        names = [f"{words[0]}.{name}" for name in Code(words[0], cell).defines]
        print(f"recipes can use {short_list(names)}" if names else f"{words[0]} defines no function or class")

    def _line(self, words: list[str]) -> Any:
        args, outcome = commands.execute(words or ["dashboard"], self.context)
        return _show(outcome, commands.tree("notebook")[args.command].gives)

    def _cell(self, words: list[str], cell: str) -> Any:
        """Start a run from the draft and a recipe in YAML, which applies to this run only."""
        args = _cell_parser().parse_args(words)
        options = recipe_text.read(cell, self.context.draft.choices.backbone)
        recipe = choosing.recipe_with(self.context.draft, options)
        run = starting.launch(recipe, self.context, stay=args.wait, meant=args.unusual).value
        if args.out is None:
            return run
        self.shell.user_ns[args.out] = run
        return None


def split(line: str) -> list[str]:
    """The words of a line, split as by a shell: quotes protect blanks. Raises UsageError.

    A semicolon at the end ends the line, as in Python: it is no part of the last word.
    """
    try:
        words = shlex.split(line.rstrip().removesuffix(";"))
    except ValueError as error:
        raise UsageError(f"%transfer: {str(error).lower()}; close the quotes, and write a backslash twice") from None
    left = _LEFT_OVER.search(line)
    if left:
        raise UsageError(f"%transfer: {left[0]} was not substituted; is {left[1] or left[2]!r} defined in this notebook?")
    return words


def _cell_parser() -> Parser:
    p = Parser(prog="%%transfer", description="Start a run from the recipe in the cell, in YAML, with the keys of Recipe.")
    p.add_argument("-o", "--out", metavar="NAME", type=_variable, help="the variable for the run")
    p.add_argument("--wait", action="store_true", help="show progress until the run ends")
    arguments.unusual(p)
    return p


def _variable(text: str) -> str:
    if not text.isidentifier() or keyword.iskeyword(text):
        raise commands.UsageError(f"%%transfer: {text!r} is not a valid variable name")
    return text


def _show(outcome: Outcome, gives: str) -> Any:
    """Show the view or text of an outcome. IPython shows the value, unless it is assigned."""
    if outcome.view is not None:
        display(outcome.view)
    if gives == "text":
        print(outcome.text)
    return outcome.value if gives == "value" else None
