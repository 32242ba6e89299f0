"""Two notebooks that change one run at the same time, while its worker is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import numpy as np

import nbtransfer as nt
from nbtransfer.core import events as ev
from nbtransfer.jobs.environment import worker_environment
from nbtransfer.store.journal import JournalReader
from tests.soak.kills import soon

CONTROLLERS = 2
CLASSES = 3


def endless():
    """A recipe that goes on until somebody says otherwise. Its epochs are long, so that steps prevail."""
    images = np.random.default_rng(0).integers(0, 255, (600, 32, 32, 3), dtype=np.uint8)
    task = nt.Task.from_arrays(images, np.arange(600) % CLASSES)
    return nt.Recipe(
        task=task, backbone="shufflenet_v2_x0_5", weights=None, strategy="ft", epochs=100_000, batch_size=8, image_size=32,
        device="cpu", threads=1, precision="fp32", cache="off", checkpoint_every=25,
    )  # fmt: skip


def talked_to(run, commands, kills, chance):
    """What the controllers say about each command they sent, in the order in which each of them sent its own."""
    soon(run, lambda s: s.progress is not None)
    others = [_controller(run, chance.randint(0, 10**9), commands // CONTROLLERS) for _ in range(CONTROLLERS)]
    try:
        for number in range(kills):
            between = commands // (kills + 1)
            answers = number * between + chance.randint(1, between)
            _kill(run, lambda s, answers=answers: len(s.commands) >= answers)
        said = [other.communicate()[0] for other in others]
    finally:
        for other in others:
            other.kill()
            other.wait()
    assert [other.returncode for other in others] == [0] * CONTROLLERS
    return [[json.loads(line) for line in lines.splitlines()] for lines in said]


def _controller(run, seed, count):
    command = [sys.executable, "-m", "tests.soak.controller", run.id, str(seed), str(count)]
    return subprocess.Popen(command, env=worker_environment(), stdout=subprocess.PIPE, text=True)


def _kill(run, condition):
    """Kill the worker once a condition holds, and wait until somebody has let the run go on."""
    state = soon(run, condition)
    assert not state.over, f"{state!r}\n{run.log()}"
    with suppress(ProcessLookupError):
        os.kill(state.pid, signal.SIGKILL)
    attempt = state.attempt
    while run.state.attempt == attempt:
        run.wait(0.1)


def brought_to_an_end(run):
    """Its last state, three epochs later."""
    run.resume()
    run.set_epochs(len(run.history()) + 3)
    return run.wait(600)


def events(run, kind):
    """All that the journal holds of one kind."""
    return [record.event for record in JournalReader(run.paths.events).read() if isinstance(record.event, kind)]


def step_seconds(run):
    """Seconds of a step, as often as the worker spoke of it."""
    return [run.recipe.batch_size / step.images_per_second for step in events(run, ev.Step)]
