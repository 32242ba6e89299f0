"""Workers that are killed at random moments, and go on."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from random import Random

import nbtransfer as nt
from nbtransfer.engine.model.freezing import digest

PATIENCE = 600
POLL_SECONDS = 0.005


def soon(run, condition):
    """The first state that fulfils a condition, or the last one of all."""
    deadline = time.monotonic() + PATIENCE
    while not condition(state := run.state) and not state.over:
        assert time.monotonic() < deadline, f"{state!r}\n{run.log()}"
        time.sleep(POLL_SECONDS)
    return state


def killed(run, chance):
    """Kill the worker at some moment of this attempt; False when it came to its end before that."""
    state = soon(run, lambda s: s.pid is not None)
    if chance.random() < 0.8:
        words = state.seq + chance.randint(1, 25)
        state = soon(run, lambda s: s.seq >= words)
    # Any moment between two words, or while frameworks are loaded.
    time.sleep(chance.uniform(0, 0.05 if state.progress else 3))
    if run.state.over:
        return False
    with suppress(ProcessLookupError):
        os.kill(state.pid, signal.SIGKILL)
    return run.wait(PATIENCE).status == "lost"


def endured(recipe, kills, chance):
    """Runs of one recipe that came to their end although they were killed, so many times all together."""
    runs, left = [], kills
    while left:
        run = nt.start(recipe)
        while left and killed(run, chance):
            left -= 1
            run.resume()
        assert run.wait(PATIENCE).status == "finished", run.log()
        runs.append(run)
    return runs


def outcome(run):
    """Weights, buffers and every figure but times."""
    state = run.state
    rows = [replace(row, seconds=0.0) for row in state.history]
    return digest(run.model().state_dict().values()), rows, state.evaluations, run.receipt(), run.predictions()


def all_endured(recipes, kills, seed):
    """For each recipe an uninterrupted run and those that were killed; all recipes at the same time."""

    def one(number):
        chance = Random(1000 * seed + number)
        runs = endured(recipes[number], kills, chance)
        # Afterwards: what it leaves for others to read, the killed ones should have had to compute.
        whole = nt.start(recipes[number])
        assert whole.wait(PATIENCE).status == "finished", whole.log()
        return whole, runs

    with ThreadPoolExecutor(len(recipes)) as pool:
        return list(pool.map(one, range(len(recipes))))
