"""Commands for the command line and the notebook: words in, an outcome out, mistakes as one sentence."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

import nbtransfer
from nbtransfer.core.state import RunState
from nbtransfer.core.text.names import suggest
from nbtransfer.errors import InputError
from nbtransfer.jobs.draft import Draft
from nbtransfer.jobs.run import Run

Place = Literal["shell", "notebook"]


class UsageError(InputError):
    """The words of a command do not fit together."""


class HelpShown(Exception):  # noqa: N818 - not an error
    """Help was printed; there is nothing else to do."""


@dataclass(frozen=True)
class CommandContext:
    """Where a command was typed.

    prog    its first word: `nbtransfer` or `%transfer`
    draft   the next run; on the command line it lasts for one command
    watch   follows a run and shows its progress
    say     shows one line while a command runs; does nothing on the command line, whose output scripts read
    names   the variables of a notebook, which may hold runs
    """

    prog: str
    place: Place
    draft: Draft
    watch: Callable[[Run, float | None], RunState]
    say: Callable[[str], object]
    names: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """The result of a command: a value for Python, text for people, plain data for scripts, and success or not.

    A notebook shows `view` before the value.
    """

    value: Any
    text: str
    plain: Any
    ok: bool = True
    view: Any = None


@dataclass(frozen=True)
class CommandSpec:
    """One command: its function, its arguments, and where it exists.

    `gives` is what a notebook gets: the value, the text if that is more useful, or nothing beyond the output so far.
    """

    name: str
    function: Callable[[argparse.Namespace, CommandContext], Outcome]
    summary: str
    takes: tuple[Callable[[argparse.ArgumentParser], None], ...] = ()
    places: tuple[Place, ...] = ("shell", "notebook")
    gives: Literal["value", "text", "nothing"] = "value"


_WELCOME: dict[Place, str] = {
    "shell": "Transfer learning in the background.",
    "notebook": "Transfer learning in the background. `run = %transfer start` keeps the run in a variable; "
    "`%%transfer -o run` starts a recipe written in the cell; `%transfer help COMMAND` explains a command.",
}


class _Columns(argparse.HelpFormatter):
    """All commands in one column, whatever the length of their names."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = 14  # argparse ignores the extra indentation of command names


class Parser(argparse.ArgumentParser):
    """A parser that raises instead of exiting, because it also runs in notebooks."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {_in_words(message)}; see {self.prog} --help")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:  # noqa: ARG002
        raise HelpShown

    def branch(self, name: str) -> Parser:
        """The parser of one command."""
        branches = next(a for a in self._actions if isinstance(a, argparse._SubParsersAction))  # noqa: SLF001
        found: Parser = branches.choices[name]
        return found

    def options(self) -> list[str]:
        """All options, with their dashes."""
        return [text for action in self._actions for text in action.option_strings]


_KINDS = {"whole": "a whole number", "number": "a number"}
_ARGPARSE: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"argument (\S+): invalid (\w+) value: (.+)", lambda m: f"{m[1]} should be {_KINDS.get(m[2], m[2])}, not {m[3]}"),
    (r"argument (\S+): (is .+)", lambda m: f"{m[1]} {m[2]}"),
    (
        r"argument (\S+): invalid choice: (\S+) \(choose from (.+)\)",
        lambda m: f"{m[1]} cannot be {m[2]}; choose from {m[3]}",
    ),
    (r"argument (\S+): ignored explicit argument (.+)", lambda m: f"{m[1]} takes no value; leave out {m[2]}"),
    (r"argument (\S+): expected (?:one|at least one) argument", lambda m: f"{m[1]} needs a value"),
    (r"argument (\S+): not allowed with argument (\S+)", lambda m: f"give either {m[1]} or {m[2]}"),
    (r"the following arguments are required: (.+)", lambda m: f"give {m[1].replace(', ', ' and ')}"),
    (r"ambiguous option: (\S+) could match (.+)", lambda m: f"{m[1]} can mean {m[2].replace(', ', ' or ')}; write it in full"),
)


def _in_words(message: str) -> str:
    """What argparse says, as a sentence that says what to do."""
    for pattern, sentence in _ARGPARSE:
        if found := re.fullmatch(pattern, message):
            return sentence(found)
    return message


def parser(commands: Mapping[str, CommandSpec], prog: str, place: Place) -> Parser:
    """The parser of all these commands."""
    root = Parser(prog=prog, description=_WELCOME[place], formatter_class=_Columns)
    root.add_argument("--version", action="version", version=f"nbtransfer {nbtransfer.__version__}", help="show the version")
    branches = root.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser, title="commands")
    for command in commands.values():
        branch = branches.add_parser(command.name, help=command.summary, description=command.summary)
        for takes in command.takes:
            takes(branch)
        if place == "shell":  # a notebook has the value itself
            branch.add_argument("--json", action="store_true", help="plain data for scripts")
    return root


def parse(root: Parser, words: list[str]) -> argparse.Namespace:
    """The parsed words; an unknown name raises UsageError that suggests known ones."""
    args, unknown = root.parse_known_args(words)
    if not unknown:
        return args
    branch = root.branch(args.command)
    if unknown[0].startswith("-"):
        known = suggest(unknown[0].lstrip("-"), [o[2:] for o in branch.options() if o.startswith("--")])
        raise UsageError(f"{branch.prog} has no option {unknown[0]!r}; {known}")
    raise UsageError(
        f"{branch.prog} does not expect {unknown[0]!r}; put quotes around words with blanks, or see {branch.prog} --help"
    )
