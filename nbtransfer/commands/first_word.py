"""What a line may begin with, and what is meant by any other word."""

from __future__ import annotations

from collections.abc import Collection

from nbtransfer.commands.choosing import FIELDS
from nbtransfer.commands.parsing import CommandContext, UsageError
from nbtransfer.core.text.names import suggest
from nbtransfer.core.text.synonyms import SYNONYMS


def check(
    word: str, context: CommandContext, options: Collection[str], known: Collection[str], everywhere: Collection[str]
) -> None:
    """Raise UsageError unless a line may begin with this word.

    Known are the commands of this place, and everywhere those of any place; options come before a command.
    """
    if word in known or (word.startswith("-") and any(option.startswith(word) for option in options)):
        return
    prog, help_ = context.prog, f"({context.prog} help lists all)"
    if word.startswith("-"):
        raise UsageError(f"{word!r} is no command; begin with one, such as {prog} runs {help_}")
    if word in everywhere:
        raise UsageError(f"{word!r} works in notebooks only, as %transfer {word}: the command line keeps no settings")
    if hint := as_option(word, known):
        raise UsageError(f"there is no command {word!r}; {hint}")
    raise UsageError(f"there is no command {word!r}; {suggest(word, known)} {help_}")


def as_option(word: str, commands: Collection[str]) -> str | None:
    """Where a word that is no command belongs as an option: a setting of the next run, or a change of one in progress."""
    plain = word.casefold().replace("_", "-").removeprefix("set-")
    if any(own in commands for own in SYNONYMS.get(plain.replace("-", ""), ())):
        return None
    changes = [f"`change --{plain} {plain.upper()}` for a run in progress"] if plain in ("lr", "epochs") else []
    settings = {name.replace("_", "-") for name in FIELDS - {"code"}}
    starts = [f"`start --{plain} {plain.upper()}` for the next run"] if plain in settings else []
    return f"it is an option: {', or '.join([*changes, *starts])}" if changes or starts else None
