"""Completion of `%transfer …` and of the body of `%%transfer`."""

from __future__ import annotations

import argparse
import glob
import re
import typing
from collections.abc import Callable, Iterable
from pathlib import Path

from nbtransfer.commands import recipe_text
from nbtransfer.commands import tree as commands
from nbtransfer.commands.parsing import CommandContext
from nbtransfer.core import catalog
from nbtransfer.core.outlines import outlines
from nbtransfer.core.recipe import AUGMENTATIONS, Cache, Optimiser, Precision, Probe
from nbtransfer.core.strategy import STRATEGIES, Schedule
from nbtransfer.engine.handoff import formats
from nbtransfer.jobs.run import Run
from nbtransfer.pretrained import saved, transformers_disk
from nbtransfer.pretrained.cards import TIMM
from nbtransfer.store import run_names, runs
from nbtransfer.store.caches import caches
from nbtransfer.store.home import home
from nbtransfer.store.paths import RunPaths
from nbtransfer.tasks import demo
from nbtransfer.tasks.task import DEMO_PREFIX

_LINE = re.compile(r"\s*(?:[^#'\"]*=\s*)?%?transfer\s+(?P<typed>.*)")
_CELL = re.compile(r"%%transfer\s+(?:\S+\s+)*(?P<word>\S*)")
_MOST_RUNS = 20


def on_line(text: str, context: CommandContext) -> list[str]:
    """All completions of the last word of a line, which may be empty."""
    cell = _CELL.fullmatch(text)
    if cell:
        return _with_prefix(["-o", "--wait", "--unusual", "--help"], cell["word"])
    match = _LINE.fullmatch(text)
    if match is None:
        return []
    *before, word = re.split(r"\s+", match["typed"])
    return _with_prefix(_next(before, word, context), word)


def in_recipe(text: str, context: CommandContext) -> list[str]:
    """All completions of the last word of a recipe in YAML."""
    line = text.rpartition("\n")[2]
    keys = re.findall(r"(\w+):\s", line)
    if not keys:
        return _with_prefix([f"{name}: " for name in recipe_text.KEYS], line)
    word = re.split(r"[\s\[{,]", line)[-1]
    return _with_prefix(_values(keys[-1], word, context), word)


def _with_prefix(candidates: Iterable[str], word: str) -> list[str]:
    return [candidate for candidate in candidates if candidate.startswith(word)]


def _next(before: list[str], word: str, context: CommandContext) -> Iterable[str]:
    tree = commands.tree(context.place)
    if not before:
        return tree
    if before[0] not in tree:
        return ()
    actions = commands.parser(context.prog, context.place).branch(before[0])._actions  # noqa: SLF001 - argparse has no public access
    if word.startswith("-"):
        return [text for action in actions for text in action.option_strings]
    action = _next_argument(actions, before[1:])
    return _values(action.dest, word, context) if action else ()


def _next_argument(actions: list[argparse.Action], before: list[str]) -> argparse.Action | None:
    """The option or positional argument that the next word belongs to."""
    options = {text: action for action in actions for text in action.option_strings}
    places = [action for action in actions if not action.option_strings]
    current: argparse.Action | None = None
    for word in before:
        if word in options:
            current = options[word] if options[word].nargs != 0 else None
        elif current is None and places and places[0].nargs not in ("+", "*"):
            places.pop(0)
        elif current is not None and current.nargs is None:
            current = None
    return current or (places[0] if places else None)


def _values(name: str, word: str, context: CommandContext) -> Iterable[str]:
    """Possible values of an argument or a key of a recipe."""
    source = _SOURCES.get(name)
    return source(word, context) if source else ()


def _layers(word: str, context: CommandContext) -> Iterable[str]:
    card = context.draft.card
    return [*card.stages, *(layer.name for layer in card.layers)]


def _tasks(word: str, context: CommandContext) -> Iterable[str]:
    return [*(DEMO_PREFIX + name for name in demo.NAMES), *_paths(word, context, files=False)]


def _backbones(word: str, context: CommandContext) -> Iterable[str]:
    """Of timm's thousands, those that begin with what has been typed; of transformers' models, those on this machine."""
    timm = [entry.name for entry in outlines()] if word.startswith(TIMM) else [TIMM]
    return [*saved.names(), *catalog.names(), *timm, *(entry.name for entry in transformers_disk.outlines())]


def _runs(word: str, context: CommandContext) -> Iterable[str]:
    variables = [name for name, value in context.names.items() if isinstance(value, Run) and not name.startswith("_")]
    ids = runs.list_ids()[:_MOST_RUNS]
    names = [name for run_id in ids if (name := run_names.read(RunPaths(home() / "runs" / run_id))) and " " not in name]
    return [*variables, *names, *ids]


def _paths(word: str, context: CommandContext, *, files: bool = True) -> Iterable[str]:
    """Paths without blanks: those need quotes, which a completion cannot insert before the typed text."""
    for path in sorted(glob.glob(glob.escape(word) + "*"))[:100]:  # noqa: PTH207 - keeps "./" and "~" as typed
        folder = Path(path).is_dir()
        if (folder or files) and not re.search(r"\s", path):
            yield f"{path}/" if folder else path


def _constant(*names: str) -> Callable[[str, CommandContext], Iterable[str]]:
    return lambda _word, _here: names


_SOURCES: dict[str, Callable[[str, CommandContext], Iterable[str]]] = {
    "backbone": _backbones,
    "text": _backbones,
    "weights": lambda _word, context: ["default", "none", *(card.name for card in context.draft.card.weights)],
    "strategy": _constant(*STRATEGIES),
    "freeze": _layers,
    "thaw": _layers,
    "up_to": lambda _word, context: context.draft.card.stages,
    "layers": _layers,
    "augment": _constant(*AUGMENTATIONS),
    "optimiser": _constant(*typing.get_args(Optimiser)),
    "schedule": _constant(*typing.get_args(Schedule)),
    "precision": _constant(*typing.get_args(Precision)),
    "probe": _constant(*typing.get_args(Probe)),
    "cache": _constant(*typing.get_args(Cache)),
    "clear": lambda _word, _here: [cache.key[:8] for cache in caches()],
    "device": _constant("auto", "cpu", "cuda", "mps"),
    "task": _tasks,
    "run": _runs,
    "before": _runs,
    "baseline": _constant("blur", "mean", "black"),
    "words": lambda word, context: [*_runs(word, context), *_paths(word, context)],
    "format": _constant(*formats.NAMES),
    "images": _paths,
    "csv": _paths,
    "folder": lambda word, context: _paths(word, context, files=False),
    "topic": lambda _word, context: commands.tree(context.place),
}
