"""The commands, one tree for the command line and the magics.

Each command is a thin call to a public function and returns its value; the caller decides how to show it. Mistakes in the
words raise `UsageError` with one sentence.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbtransfer.commands import arguments, choosing, controlling, explaining, first_word, predicting, sources, starting
from nbtransfer.commands.finding import find_run, run_facts
from nbtransfer.commands.parsing import CommandContext, CommandSpec, HelpShown, Outcome, Parser, Place, UsageError, parse
from nbtransfer.commands.parsing import parser as parser_of
from nbtransfer.core.backbone import BackboneCard
from nbtransfer.core.codec import dumps
from nbtransfer.core.text.counts import byte_size, quantity
from nbtransfer.core.text.paths import short_path
from nbtransfer.jobs import own_runs
from nbtransfer.jobs.draft import Draft
from nbtransfer.jobs.listing import list_runs
from nbtransfer.jobs.run import Run
from nbtransfer.pretrained import saved
from nbtransfer.pretrained.listing import backbone, backbones
from nbtransfer.store.caches import caches, clear
from nbtransfer.ui.progress import watch

__all__ = ["COMMANDS", "CommandContext", "HelpShown", "Outcome", "UsageError", "as_json", "execute", "parser", "tree"]


def tree(place: Place) -> dict[str, CommandSpec]:
    """The commands of the shell or the notebook, by name."""
    return {command.name: command for command in TREE if place in command.places}


def parser(prog: str = "nbtransfer", place: Place = "shell") -> Parser:
    """The parser of the whole tree."""
    return parser_of(tree(place), prog, place)


def shell_context() -> CommandContext:
    """The command line, where choices last for one command."""
    return CommandContext("nbtransfer", "shell", Draft(), lambda run, timeout: watch(run, timeout=timeout), lambda _line: None)


def execute(words: Sequence[str], context: CommandContext | None = None) -> tuple[argparse.Namespace, Outcome]:
    """Parse and run one command. Raises an NbTransferError with one sentence if that fails."""
    context = context or shell_context()
    root = parser(context.prog, context.place)
    if words:
        first_word.check(words[0], root, context, tree(context.place), [command.name for command in TREE])
    args = parse(root, list(words))
    return args, tree(context.place)[args.command].function(args, context)


def show_runs(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """All runs, newest first."""
    found = list_runs()
    return Outcome(found, repr(found), [run_facts(run) for run in found])


def show_caches(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Activations kept for the next run."""
    found = caches()
    if args.clear is not None:
        freed = clear(*args.clear)
        return Outcome(freed, f"{byte_size(freed)} freed", {"bytes": freed})
    plain = [{"key": c.key, **{k: c.facts[k] for k in ("task", "backbone", "layer")}, "bytes": c.bytes} for c in found]
    return Outcome(found, repr(found), plain)


def status(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """One run: its state, epochs and scores."""
    run = find_run(args.run, context)
    state = run.state
    parts = [f"{run.id}: {run.verdict}", f"{run.recipe!r}"]
    if state.prepared:
        if (origin := saved.origin(run.recipe.backbone, state.prepared.weights)) is not None:
            parts.append(f"shared layers: {origin}")
        p = state.prepared
        parts.append(f"{p.device} ({p.device_name}), {p.precision}, {quantity(p.threads, 'thread')}, {state.fraction:.0%} done")
    parts += [repr(run.history()), *map(repr, state.evaluations)]
    parts += [f"{d.subject}: {d.choice} ({d.reason})" for d in state.decisions]
    if state.receipt and state.receipt.frozen:
        parts.append(f"frozen layers unchanged, checked: {state.receipt.unchanged} of {state.receipt.frozen}")
    return Outcome(run, "\n".join(parts), {**run_facts(run), "history": run.history().to_dicts()}, ok=starting.is_healthy(run))


def attach_run(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """A run started anywhere, shown in the dashboard."""
    run = find_run(args.run, context)
    own_runs.add(run.paths)
    return Outcome(run, repr(run), run_facts(run), view=_dashboard(context, run))


def show_dashboard(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """The dashboard for the present choices."""
    view = _dashboard(context, None)
    return Outcome(view, repr(view), None)


def _dashboard(context: CommandContext, run: Run | None) -> Any:
    from nbtransfer.ui.dashboard import dashboard  # loads the widgets

    task = context.draft.choices.task
    other = run is not None and task is not None and task.digest != run.task.digest
    # Beside a run on another task, that of the draft would seem to be the run's.
    return dashboard(run=run, draft=Draft() if other else context.draft)


def log(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """The last lines of a run's log."""
    run = find_run(args.run, context)
    text = run.log(args.lines)
    return Outcome(text, text or "the log is empty", {"id": run.id, "log": text})


def export(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Write the best model of a run to a folder for use elsewhere."""
    named = {"format": args.format} if "format" in args else {}
    path = find_run(args.run, context).export(args.folder, **named)
    return Outcome(path, f"exported to {short_path(path)}", {"folder": str(path)})


def list_backbones(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Shared layers to choose from."""
    limits = ("max_params", "max_multiply_adds", "max_size", "licence", "downloaded")
    text = " ".join(args.text)
    found = backbones(text, **{name: getattr(args, name) for name in limits if name in args})
    alone = len(found) == 1 and isinstance(found[0], BackboneCard)  # to make a card takes long, and only its name asks for it
    meant = [entry for entry in found if alone or entry.name == text]
    if meant:
        context.say(_stages(meant[0].name))
        return Outcome(found, f"{found!r}\n\n{_stages(meant[0].name)}", found)
    return Outcome(found, repr(found), found)


def _stages(name: str) -> str:
    card = backbone(name)
    stages = "stages: " + ", ".join(f"{stage} ({params:,})" for stage, params in card.stage_params.items())
    return f"{stages}\nfrom {card.lineage}" if card.lineage else stages


def show_help(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """All commands, or one in full."""
    words = [args.topic] if args.topic else []
    execute([*words, "--help"], context)
    raise AssertionError("help ends the command")  # pragma: no cover


def demo(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """A linear probe, then fine-tuning, on real images of textile defects; writes a report."""
    from nbtransfer.demo import run_demo  # loads the figures

    report = Path(args.report).expanduser()
    result, ok = run_demo(report, say=lambda text: sys.stderr.write(f"{text}\n"))
    rows = [dict(zip(result.HEADER, row, strict=True)) for row in result.rows()]
    text = f"{result.table()}\n\nreport: {short_path(report)}" if rows else "no run finished, so there is nothing to report"
    return Outcome(result, text, rows, ok)


def doctor(args: argparse.Namespace, context: CommandContext) -> Outcome:
    """Check this environment."""
    from nbtransfer.doctor import examine  # starts processes and loads frameworks

    findings = examine()
    text = "\n".join(f"{'ok' if f.ok else 'PROBLEM':8}{f.what}: {f.found}" for f in findings)
    return Outcome(findings, text, findings, ok=all(f.ok or f.optional for f in findings))


NOTEBOOK: tuple[Place, ...] = ("notebook",)
TREE: tuple[CommandSpec, ...] = (
    CommandSpec("dashboard", show_dashboard, "the live dashboard; the default without a command", (), NOTEBOOK),
    CommandSpec("data", choosing.data, "set the target task", (arguments.task, arguments.split_seed), NOTEBOOK),
    CommandSpec("backbones", list_backbones, "shared layers to choose from", (arguments.searched,)),
    CommandSpec("backbone", choosing.backbone, "choose the shared layers", (arguments.backbone,), NOTEBOOK),
    CommandSpec("freeze", choosing.freeze, "freeze more layers", (arguments.layers,), NOTEBOOK),
    CommandSpec("thaw", choosing.thaw, "let more layers learn", (arguments.layers, arguments.multiplier), NOTEBOOK),
    CommandSpec("undo", choosing.undo, "take back the last choice", (), NOTEBOOK),
    CommandSpec(
        "start",
        starting.start,
        "start a run in the background",
        (arguments.recipe, arguments.naming, arguments.watching, arguments.unusual),
        NOTEBOOK,
    ),
    CommandSpec(
        "start",
        starting.start_task,
        "start a run in the background",
        (arguments.task, arguments.recipe, arguments.naming, arguments.watching, arguments.unusual),
        ("shell",),
    ),
    CommandSpec(
        "pretrain",
        starting.pretrain,
        "train shared layers from scratch on a source task",
        (arguments.recipe, arguments.naming, arguments.watching, arguments.unusual),
        NOTEBOOK,
    ),
    CommandSpec(
        "pretrain",
        starting.pretrain_task,
        "train shared layers from scratch on a source task",
        (arguments.task, arguments.recipe, arguments.naming, arguments.watching, arguments.unusual),
        ("shell",),
    ),
    CommandSpec("runs", show_runs, "all runs, newest first"),
    CommandSpec("status", status, "one run: its state, epochs and scores", (arguments.run,), gives="text"),
    CommandSpec("attach", attach_run, "a run started anywhere, shown in the dashboard", (arguments.run,), NOTEBOOK),
    CommandSpec(
        "wait", starting.wait, "show a run's progress until it ends", (arguments.run, arguments.timeout), gives="nothing"
    ),
    CommandSpec("pause", controlling.pause, "pause a run, with everything on the disk", (arguments.run,), gives="text"),
    CommandSpec(
        "resume",
        controlling.resume,
        "continue a paused, stopped, failed or lost run",
        (arguments.run, arguments.moved),
        gives="text",
    ),
    CommandSpec("continue", controlling.go_on, "train a run that has ended further", (arguments.run, arguments.longer)),
    CommandSpec("stop", controlling.stop, "stop a run and keep its best model", (arguments.run,), gives="text"),
    CommandSpec("kill", controlling.kill, "kill a worker that hangs; resume continues", (arguments.run,), gives="text"),
    CommandSpec("checkpoint", controlling.checkpoint, "save a checkpoint now", (arguments.run,), gives="text"),
    CommandSpec(
        "change",
        controlling.change,
        "change a run while it runs: layers, learning rate, length",
        (arguments.run, arguments.changes, arguments.unusual),
        gives="text",
    ),
    CommandSpec("repeat", controlling.repeat_run, "repeat a run, including its changes", (arguments.run, arguments.moved)),
    CommandSpec("rename", controlling.rename, "give a run a name", (arguments.rename,), gives="text"),
    CommandSpec(
        "delete", controlling.delete, "remove a run that has ended, with all its files", (arguments.a_run,), gives="text"
    ),
    CommandSpec(
        "trust",
        controlling.trust,
        "show or trust the custom code of a run",
        (arguments.run, arguments.trusting),
        gives="text",
    ),
    CommandSpec("log", log, "the last lines of a run's log", (arguments.run, arguments.lines), gives="text"),
    CommandSpec("predict", predicting.predict, "the answers of a run for images, as a table", (arguments.predict,)),
    CommandSpec("explain", explaining.explain, "where in the images a run finds its answers", (arguments.explain,)),
    CommandSpec(
        "export",
        export,
        "write the best model of a run to a folder",
        (arguments.folder, arguments.run, arguments.export_format),
    ),
    CommandSpec(
        "save-backbone",
        sources.save_backbone,
        "save the shared layers of a run for other tasks",
        (arguments.backbone_name, arguments.run),
    ),
    CommandSpec(
        "add-backbone", sources.add_backbone, "add shared layers that were saved elsewhere", (arguments.backbone_folder,)
    ),
    CommandSpec(
        "delete-backbone", sources.delete_backbone, "delete saved shared layers", (arguments.backbone_name,), gives="text"
    ),
    CommandSpec("caches", show_caches, "activations kept for the next run", (arguments.caches,)),
    CommandSpec("demo", demo, "linear probe and fine-tuning on real images", (arguments.report,)),
    CommandSpec("doctor", doctor, "check this environment", gives="text"),
    CommandSpec("help", show_help, "all commands, or one in full", (arguments.topic,)),
)
COMMANDS = tree("shell")
"""The commands of the command line."""


def as_json(outcome: Outcome) -> str:
    """The plain data of an outcome as JSON text."""
    return dumps(outcome.plain, indent=1)
