"""What a line may begin with, and what is meant by any other word."""

from __future__ import annotations

from collections.abc import Collection

from nbtransfer.commands.parsing import CommandContext, Parser, UsageError
from nbtransfer.core.text.names import suggest
from nbtransfer.core.text.synonyms import SYNONYMS


def check(word: str, root: Parser, context: CommandContext, known: Collection[str], everywhere: Collection[str]) -> None:
    """Raise UsageError unless a line may begin with this word: a command, or an option that comes before one.

    Known are the commands of this place, and everywhere those of any place.
    """
    if word in known or (word.startswith("-") and any(option.startswith(word) for option in root.options())):
        return
    prog, help_ = context.prog, f"({context.prog} help lists all)"
    if word.startswith("-"):
        raise UsageError(f"{word!r} is no command; begin with one, such as {prog} runs {help_}")
    if word in everywhere:
        raise UsageError(f"{word!r} works in notebooks only, as %transfer {word}: the command line keeps no settings")
    if hint := as_option(word, known, root.branch("start").options()):
        raise UsageError(f"there is no command {word!r}; {hint}")
    raise UsageError(f"there is no command {word!r}; {suggest(word, known)} {help_}")


def as_option(word: str, commands: Collection[str], settings: Collection[str]) -> str | None:
    """Where a word that is no command belongs as an option: a setting of the next run, or a change of one in progress."""
    plain = word.casefold().replace("_", "-").removeprefix("set-")
    if any(own in commands for own in SYNONYMS.get(plain.replace("-", ""), ())):
        return None
    changes = [f"`change --{plain} {plain.upper()}` for a run in progress"] if plain in ("lr", "epochs") else []
    starts = [f"`start --{plain} {plain.upper()}` for the next run"] if f"--{plain}" in settings and plain != "code" else []
    return f"it is an option: {', or '.join([*changes, *starts])}" if changes or starts else None
