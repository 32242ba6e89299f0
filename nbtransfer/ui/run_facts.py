"""A run as plain data for the browser: what it is, where it is, its result."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

from nbtransfer.core.codec import from_plain
from nbtransfer.core.evaluation import Evaluation
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.core.state import HistoryRow, RunState
from nbtransfer.core.text.counts import quantity
from nbtransfer.core.text.names import short_list
from nbtransfer.core.verdict import verdict
from nbtransfer.errors import InputError
from nbtransfer.jobs.run import Run
from nbtransfer.tasks.task import Task
from nbtransfer.ui.confusion import confusion_html
from nbtransfer.ui.messages import EpochRow, ProgressFacts
from nbtransfer.ui.pictures import Judged, data_url, worst_first
from nbtransfer.ui.series import figures
from nbtransfer.ui.traits import Mistake, PhaseFacts, ResultFacts, RunFacts, ScoreFacts

MISTAKES = 8
MOST_COMMANDS = 10


def run_facts(run: Run, state: RunState) -> RunFacts:
    """What seldom changes about a run."""
    p, found = state.prepared, verdict(state, run.task)
    return {
        "id": run.id,
        "status": state.status,
        "ended": state.over,
        "message": state.message,
        "verdict": found.headline,
        "caveats": list(found.caveats),
        "backbone": run.recipe.backbone,
        "recipe": f"{run.task.name} · {run.recipe.backbone} · {run.recipe.strategy_name}",
        "phase": state.phase,
        "phases": _phases(state),
        "total": p.total if p else 0,
        "device": f"{p.device} ({p.device_name}), {p.precision}, {quantity(p.threads, 'thread')}" if p else "",
        "epochs": state.epochs,
        "seconds": state.seconds if state.ended else None,
        "best": state.best is not None,
        "notes": [
            *_decisions(state),
            *_commands(state),
            *([f"resumed at step {state.resumed.step}, where an earlier worker left off"] if state.resumed else []),
        ],
    }


def _phases(state: RunState) -> list[PhaseFacts]:
    return [
        {"name": p.name, "epochs": p.epochs, "lr": p.lr, "trainable": p.trainable, "summary": p.summary, "solver": p.solver}
        for p in (state.prepared.phases if state.prepared else ())
    ]


def progress_facts(state: RunState) -> ProgressFacts:
    """What changes with every step."""
    left, made = state.phase_seconds_left, state.computing
    return {
        "epoch": state.progress.epoch if state.progress else len(state.history),
        "fraction": round(state.fraction, 4),
        "left": None if left is None else round(left),
        "computing": {"layer": made.layer, "done": made.done, "of": made.of} if made else None,
    }


def _decisions(state: RunState) -> list[str]:
    return [f"{d.subject}: {d.choice}; {d.reason}" for d in state.decisions]


def _commands(state: RunState) -> list[str]:
    shown = state.commands[-MOST_COMMANDS:]
    return [f"{_command_text(c.op, c.arguments)} from {c.sender or 'nobody'}: {c.message}" for c in shown]


def _command_text(op: str, arguments: Mapping[str, Any]) -> str:
    """`freeze stem, layer1`, `set_lr 0.001`; a command that was refused may have held anything."""
    if op == "replan" and "frozen" in arguments:
        op, arguments = "freeze only", {"frozen": arguments["frozen"] or ["nothing"]}
    elif op == "replan":
        with contextlib.suppress(InputError):
            arguments = {"rules": [*from_plain(FreezePlan, arguments).rules] or ["everything learns"]}
    words = (short_list([*map(str, value)]) if isinstance(value, list) else str(value) for value in arguments.values())
    return " ".join([op or "junk", *words])


def epoch_row(row: HistoryRow) -> EpochRow:
    """One epoch for a chart; numbers as they are read, not as they are stored. Scores rounded twice might be other ones."""
    whole = ("accuracy", "val_accuracy")
    short = {
        n: figures(v) if isinstance(v, float) and not (n in whole and math.isfinite(v)) else v for n, v in asdict(row).items()
    }
    return cast("EpochRow", {**short, "val_interval": list(row.val_interval)})


def result_facts(run: Run, state: RunState) -> ResultFacts:
    """Scores, confusion matrix and worst mistakes of a run that has ended."""
    found = run.evaluate()
    wrong = (judged for judged in worst_first(run, found.split) if not judged.right)
    return {
        "scores": [_score(evaluation) for evaluation in state.evaluations],
        "split": found.split,
        "confusion": confusion_html(found),
        "header": list(found.HEADER),
        "rows": [[str(cell) for cell in row] for row in found.rows()],
        "mistakes": [_mistake(run.task, judged) for judged in itertools.islice(wrong, MISTAKES)],
        "wrong": found.examples - found.correct,
        "receipt": _receipt(state),
    }


def _mistake(task: Task, judged: Judged) -> Mistake:
    answer = f"{judged.answer} ({judged.probability:.2f})"
    return {"picture": data_url(task, judged.sample, 150), "answer": answer, "source": judged.sample.source}


def _score(evaluation: Evaluation) -> ScoreFacts:
    return {
        "split": evaluation.split,
        "accuracy": evaluation.accuracy,
        "interval": list(evaluation.interval),
        "correct": evaluation.correct,
        "examples": evaluation.examples,
    }


def _receipt(state: RunState) -> str:
    if state.receipt is None or not state.receipt.frozen:
        return "no shared layer was frozen in this run"
    checked = f"{state.receipt.unchanged} of {quantity(state.receipt.frozen, 'frozen layer')}"
    return f"{checked} did not change while frozen: parameters and buffers, compared bit for bit"
