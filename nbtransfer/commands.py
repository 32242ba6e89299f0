"""One parser tree for the command line and the magics.

Each command is a thin call to a public function. It returns what the function returned, and prints only what is asked
for; a caller shows the value in its own way. Mistakes in the words raise `UsageError` with one sentence.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from nbtransfer import arguments
from nbtransfer.core.codec import dumps
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.recipe import Recipe
from nbtransfer.core.text import counted
from nbtransfer.errors import InputError
from nbtransfer.jobs.launcher import start as start_run
from nbtransfer.jobs.run import Run, attach, list_runs
from nbtransfer.pretrained.listing import backbone, backbones
from nbtransfer.store import runs
from nbtransfer.store.home import home
from nbtransfer.tasks.task import Task
from nbtransfer.ui.progress import ending, watch


class UsageError(InputError):
    """The words of a command do not fit together."""


class HelpShown(Exception):  # noqa: N818 - not an error
    """Help was asked for and printed; there is nothing else to do."""


@dataclass(frozen=True)
class Outcome:
    """What a command came to: the value for whoever called, text for people, plain data for scripts, success or not."""

    value: Any
    text: str
    plain: Any
    ok: bool = True


class Parser(argparse.ArgumentParser):
    """A parser that raises instead of ending the process: it also runs inside notebooks."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}; see {self.prog} --help")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:  # noqa: ARG002
        raise HelpShown


def parser(prog: str = "nbtransfer") -> Parser:
    """The whole tree."""
    root = Parser(prog=prog, description="Transfer learning in the background.")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    for name, (function, summary, takes) in COMMANDS.items():
        branch = commands.add_parser(name, help=summary, description=summary)
        takes(branch)
        branch.set_defaults(function=function)
    return root


def execute(words: Sequence[str], prog: str = "nbtransfer") -> tuple[argparse.Namespace, Outcome]:
    """Parse and carry out one command. Raises an NbTransferError with one sentence when it cannot be done."""
    args = parser(prog).parse_args(words)
    return args, args.function(args)


def task_from(words: str, **options: Any) -> Task:
    """The task a command line names: a folder, or `demo:NAME`."""
    if words.startswith(arguments.DEMO_PREFIX):
        return Task.demo(words.removeprefix(arguments.DEMO_PREFIX), **options)
    return Task.from_folder(words, **options)


def start(args: argparse.Namespace) -> Outcome:
    """Start a run."""
    folder_options: dict[str, Any] = {} if args.per_class is None else {"per_class": args.per_class}
    if args.skip_bad:
        folder_options |= {"unreadable": "skip", "duplicates": "skip"}
    if folder_options and args.task == "demo:digits":
        raise UsageError("--per-class and --skip-bad are for folders of images; demo:digits is none")
    seed = {"seed": args.seed} if args.seed is not None else {}
    task = task_from(args.task, holdout=args.holdout, test=args.test, **seed, **folder_options)
    given = {name: getattr(args, name) for name in (o.replace("-", "_") for o, _, _ in arguments.RECIPE_OPTIONS)}
    settings = {name: value for name, value in given.items() if value is not None}
    if args.augment is not None:
        settings["augment"] = tuple(args.augment)
    plan = _plan(args)
    weights = None if args.weights == "none" else args.weights
    recipe = Recipe(task=task, backbone=args.backbone, weights=weights, strategy=args.strategy, freeze=plan, **settings)
    run = start_run(recipe)
    if args.wait:
        return _waited(run, None)
    return Outcome(run, f"{run.id} started; see `nbtransfer status {run.id}`", _run_facts(run))


def _plan(args: argparse.Namespace) -> FreezePlan | None:
    if args.freeze and args.thaw:
        raise UsageError("give either --freeze or --thaw: the first starts from all layers learning, the second from none")
    if args.freeze:
        return FreezePlan.none().freeze(*args.freeze)
    return FreezePlan.all().thaw(*args.thaw) if args.thaw else None


def show_runs(args: argparse.Namespace) -> Outcome:
    """All runs, newest first."""
    found = list_runs()
    return Outcome(found, repr(found), [_run_facts(run) for run in found])


def status(args: argparse.Namespace) -> Outcome:
    """One run: where it is, its epochs, its scores."""
    run = _run(args)
    state = run.state
    parts = [f"{run.id}: {ending(state)}", f"{run.recipe!r}"]
    if state.prepared:
        p = state.prepared
        parts.append(f"{p.device} ({p.device_name}), {p.precision}, {counted(p.threads, 'thread')}, {state.fraction:.0%} done")
    parts += [repr(run.history()), *map(repr, state.evaluations)]
    parts += [f"warning: {message}" for message in state.warnings]
    parts += [f"left out {s.source} ({s.split}): {s.reason}" for s in state.skipped]
    if state.receipt and state.receipt.frozen:
        parts.append(f"frozen layers unchanged, checked: {state.receipt.unchanged} of {state.receipt.frozen}")
    return Outcome(run, "\n".join(parts), {**_run_facts(run), "history": run.history().to_dicts()}, ok=_is_well(run))


def stop(args: argparse.Namespace) -> Outcome:
    """Stop a run after its present step and keep the best model so far."""
    run = _run(args)
    state = run.stop()
    if state.ended or state.status == "lost":
        return Outcome(run, f"{run.id} has ended already: {ending(state)}", _run_facts(run))
    return Outcome(run, f"{run.id} will stop after this step", _run_facts(run))


def wait(args: argparse.Namespace) -> Outcome:
    """Show a run's progress until it ends."""
    return _waited(_run(args), args.timeout)


def _waited(run: Run, timeout: float | None) -> Outcome:
    state = watch(run, timeout=timeout)
    return Outcome(run, f"{run.id} {ending(state)}", _run_facts(run), ok=_is_well(run))


def log(args: argparse.Namespace) -> Outcome:
    """The last lines of a run's log."""
    run = _run(args)
    text = run.log(args.lines)
    return Outcome(text, text or "the log is empty", {"id": run.id, "log": text})


def export(args: argparse.Namespace) -> Outcome:
    """Write the best model of a run to a folder that others can use."""
    path = _run(args).export(args.folder)
    return Outcome(path, f"exported to {path}", {"folder": str(path)})


def list_backbones(args: argparse.Namespace) -> Outcome:
    """Shared layers to choose from."""
    found = backbones(args.text)
    if len(found) == 1:
        return Outcome(found, f"{found!r}\n\n{_stages(found[0].name)}", found)
    return Outcome(found, repr(found) if found else f"no backbone contains {args.text!r}", found)


def _stages(name: str) -> str:
    card = backbone(name)
    return "stages: " + ", ".join(f"{stage} ({params:,})" for stage, params in card.stage_params.items())


def demo(args: argparse.Namespace) -> Outcome:
    """A linear probe, then fine-tuning, on real images of textile defects; writes a report."""
    from nbtransfer.demo import tell  # the story has a file of its own

    report = Path(args.report).expanduser()
    told, ok = tell(report, say=lambda text: sys.stderr.write(f"{text}\n"))
    rows = [dict(zip(told.HEADER, row, strict=True)) for row in told.rows()]
    text = f"{told.table()}\n\nreport: {report.absolute()}" if rows else "no run finished, so there is nothing to report"
    return Outcome(told, text, rows, ok)


def doctor(args: argparse.Namespace) -> Outcome:
    """Check that this environment can do all of it."""
    from nbtransfer.doctor import examine  # starts processes and loads frameworks

    findings = examine()
    text = "\n".join(f"{'ok' if f.ok else 'PROBLEM':8}{f.what}: {f.found}" for f in findings)
    return Outcome(findings, text, findings, ok=all(f.ok or f.optional for f in findings))


def _run(args: argparse.Namespace) -> Run:
    """The run named, or the newest."""
    if args.run is not None:
        return attach(args.run)
    known = runs.list_ids()
    if not known:
        raise InputError(f"there are no runs in {home()}; start one with `nbtransfer start`")
    return attach(known[0])


def _is_well(run: Run) -> bool:
    return run.state.status not in ("failed", "lost")


def _run_facts(run: Run) -> dict[str, Any]:
    state = run.state
    return {
        "id": run.id,
        "status": state.status,
        "message": state.message,
        "epoch": len(state.history),
        "epochs": state.epochs,
        "best_epoch": state.best.epoch if state.best else None,
        "val_accuracy": state.best.val_accuracy if state.best else None,
        "folder": str(run.paths.root),
    }


COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], Outcome], str, Callable[[argparse.ArgumentParser], None]]] = {
    "start": (start, "start a run in the background", arguments.start),
    "runs": (show_runs, "all runs, newest first", arguments.json),
    "status": (status, "one run: where it is, its epochs, its scores", arguments.run),
    "stop": (stop, "stop a run and keep its best model", arguments.run),
    "wait": (wait, "show a run's progress until it ends", arguments.wait),
    "log": (log, "the last lines of a run's log", arguments.log),
    "export": (export, "write the best model of a run to a folder", arguments.export),
    "backbones": (list_backbones, "shared layers to choose from", arguments.backbones),
    "demo": (demo, "linear probe against fine-tuning on real images", arguments.demo),
    "doctor": (doctor, "check this environment", arguments.json),
}


def as_json(outcome: Outcome) -> str:
    """The plain data of an outcome as JSON text."""
    return dumps(outcome.plain, indent=1)
