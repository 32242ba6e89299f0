"""`python -m tests.soak.controller RUN SEED COUNT`: somebody at a notebook who cannot make up their mind.

Sends so many random commands to a run, and lets it go on when it is lost. Prints for each command its number, what became
of it as far as this process was told, and the seconds until then.
"""

from __future__ import annotations

import json
import random
import sys
import time

import nbtransfer as nt
from nbtransfer.errors import RunError
from nbtransfer.store import inbox

STAGES = ("stem", "stage2", "stage3", "stage4", "conv5")
FAR = 100_000
"""Epochs enough to never end while commands are sent."""


def recorded():
    """All commands this process sends from now on."""
    real, sent = inbox.send, []

    def send(*arguments, **options):
        sent.append(real(*arguments, **options))
        return sent[-1]

    inbox.send = send
    return sent


def epochs(run, chance):
    """Sometimes fewer than have begun."""
    return 1 if len(run.history()) > 1 and chance.random() < 0.3 else FAR + chance.randint(1, 999)


def some(chance):
    return chance.sample(STAGES, chance.randint(1, 3))


COMMANDS_SENT = {
    "pause": lambda run, chance: run.pause(),
    "resume": lambda run, chance: run.resume(),
    "checkpoint": lambda run, chance: run.checkpoint(),
    "set_lr": lambda run, chance: run.set_lr(10 ** chance.uniform(-4, -2)),
    "set_epochs": lambda run, chance: run.set_epochs(epochs(run, chance)),
    "freeze": lambda run, chance: run.freeze(*some(chance)),
    "thaw": lambda run, chance: run.thaw(*some(chance), lr=chance.choice((None, 0.1, 0.5))),
    "replan": lambda run, chance: run.replan(nt.FreezePlan.none().freeze(*some(chance))),
}


def chosen(run, chance):
    """A name of a command. What is paused should not stay so for long, and a pause or a checkpoint takes its time."""
    if run.state.status == "paused" and chance.random() < 0.5:
        return "resume"
    return chance.choices(list(COMMANDS_SENT), [1, 1, 1, 4, 2, 4, 4, 4])[0]


def asked(run, chance, sent):
    """Ask for something. What became of it: accepted, refused, or open, when the worker was killed meanwhile."""
    if run.state.status == "lost":
        run.resume()
        return "open"  # answered later than this process looked
    before = len(sent)
    try:
        state = COMMANDS_SENT[chosen(run, chance)](run, chance)
    except RunError as error:
        if len(sent) == before:
            return "not sent"
        return "open" if "was lost before it could" in str(error) else "refused"
    answered = len(sent) > before and sent[-1].id in (answer.id for answer in state.commands)
    return "accepted" if answered else "open"


def main(run_id, seed, count):
    run, chance, sent = nt.attach(run_id), random.Random(seed), recorded()
    while len(sent) < int(count):
        known, begun = len(sent), time.monotonic()
        became = asked(run, chance, sent)
        seconds = time.monotonic() - begun
        for command in sent[known:]:
            line = {"id": command.id, "op": command.op, "sender": command.sender, "became": became, "seconds": seconds}
            sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
