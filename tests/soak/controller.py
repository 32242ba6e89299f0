"""`python -m tests.soak.controller RUN COUNT SEED`: send random commands to a run; print what came of each, one JSON a line.

Every learning rate is drawn once only, so that each change can be told from all others.
"""

from __future__ import annotations

import json
import random
import sys
import time
from typing import Any

import nbtransfer as nt
from nbtransfer.errors import RunError
from nbtransfer.store.inbox import ME

LAYERS = ("stem", "stage2", "stage3", "stage4", "conv5", "stage*")
OPS = ("set_lr", "set_lr", "freeze", "thaw", "replan", "set_epochs", "pause", "resume", "checkpoint")


def drawn(op: str, chance: random.Random) -> list[Any]:
    """Arguments for a command."""
    if op == "set_lr":
        return [chance.uniform(1e-5, 1e-3)]
    if op == "set_epochs":
        return [chance.randint(100_000, 200_000)]
    if op == "replan":
        return [nt.FreezePlan.none().freeze(chance.choice(LAYERS))]
    return [chance.choice(LAYERS)] if op in ("freeze", "thaw") else []


def main(run_id: str, count: int, seed: int) -> None:
    """One command after the other. A run that was lost or has left is resumed, as a person would."""
    run, chance = nt.attach(run_id), random.Random(seed)
    for _ in range(count):
        op = chance.choice(OPS)
        given, before, refused, answered = drawn(op, chance), run.state, "", False
        began = time.monotonic()
        try:
            after = getattr(run, op)(*given)
            answered = any(answer.sender == ME and answer.op == op for answer in after.commands[len(before.commands) :])
        except RunError as error:
            refused = str(error)
        seconds = time.monotonic() - began
        said = {
            "op": op,
            "given": given if op == "set_lr" else [],
            "answered": answered,
            "refused": refused,
            "seconds": seconds,
        }
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        if run.state.status == "lost" or (run.state.status == "paused" and chance.random() < 0.7):
            run.resume()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
