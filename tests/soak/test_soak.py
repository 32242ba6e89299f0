"""Many runs, killed and commanded at random for a long time. `make soak` writes its figures into docs/reliability.md."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import nbtransfer as nt
from nbtransfer.core.course import CHANGES
from nbtransfer.core.text import duration
from nbtransfer.engine.freezing import digest
from nbtransfer.jobs.environment import worker_environment
from tests.engine.test_resume import GRADUAL
from tests.jobs.test_runs import recipe, until

ROOT = Path(__file__).parents[2]
PATIENCE = 900
PLANS = {
    "linear probe, trained": {"strategy": "lp", "epochs": 40, "probe": "sgd"},
    "linear probe, features cached": {"strategy": "lp", "epochs": 60, "probe": "sgd", "cache": "on"},
    "linear probe, solved, then everything": {"strategy": "lp_ft", "epochs": 25},
    "everything, two helpers": {"epochs": 20, "loader_workers": 2},
    "everything, augmented": {"epochs": 20, "augment": ("flip", "crop", "colour")},
    "everything, dropout": {"backbone": "efficientnet_b0", "epochs": 4},
    "SGD, cosine": {"optimiser": "sgd", "schedule": "cosine", "epochs": 20},
    "last stage, cached, folded": {"strategy": "last_stage", "cache": "on", "epochs": 40},
    "thawed stage by stage": {"strategy": GRADUAL, "probe": "sgd"},
    "thawed stage by stage, cached": {"strategy": GRADUAL, "cache": "on"},
    "patience": {"epochs": 60, "patience": 4},
    "bf16": {"precision": "bf16", "epochs": 10},
}


@dataclass(frozen=True)
class Scale:
    """How much of it: kills of runs, `parallel` of them at a time over so many plans; commands, and kills between them."""

    kills: int
    parallel: int
    plans: int
    commands: int
    kills_between: int


SHORT = Scale(kills=4, parallel=2, plans=2, commands=40, kills_between=1)
LONG = Scale(kills=120, parallel=10, plans=len(PLANS), commands=1000, kills_between=8)


@pytest.fixture(params=[pytest.param(SHORT, id="short"), pytest.param(LONG, id="long", marks=pytest.mark.soak)])
def scale(request):
    return request.param


@pytest.fixture(scope="module")
def figures(request):
    """What was measured; after the long version, a table in the documentation."""
    found: dict[str, object] = {}
    began = time.monotonic()
    yield found
    if request.config.getoption("--soak") and len(found) > 8:
        found["duration"] = duration(time.monotonic() - began)
        found["machine"] = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
        table = "\n".join(["| measured | |", "|---|---|", *(f"| {name} | {value} |" for name, value in found.items())])
        page = ROOT / "docs" / "reliability.md"
        before, rest = page.read_text(encoding="utf-8").split("<!-- soak -->\n")
        after = rest.split("<!-- /soak -->")[1]
        page.write_text(f"{before}<!-- soak -->\n{table}\n<!-- /soak -->{after}", encoding="utf-8")
        sys.stdout.write(f"\n{table}\n")


def outcome(run):
    """Every bit of a finished run but its times."""
    rows = [replace(row, seconds=0.0) for row in run.history()]
    return digest(run.model().state_dict().values()), rows, run.state.evaluations, run.state.receipt


class Reaper:
    """Kills workers at random moments until enough have been."""

    def __init__(self, kills, seed):
        self.kills, self.struck = kills, []
        self._chance, self._counting = random.Random(seed), threading.Lock()

    @property
    def done(self):
        return len(self.struck) >= self.kills

    def torment(self, run, most=12):
        """Kill and resume a run, so many times at most, until it ends."""
        attempt = 0
        for _ in range(most):
            attempt = self._await_moment(run, attempt)
            if not self._strike(run) or run.wait(PATIENCE).ended:
                break
            run.resume()
        state = run.wait(PATIENCE)
        assert state.status == "finished", f"{state}\n{run.log()}"
        return run

    def _await_moment(self, run, attempt):
        """Half of the moments are while a worker starts or goes back to a checkpoint, half are amid its work."""
        amid = self._chance.random() < 0.5
        news = self._chance.randint(4, 25) if amid else 0
        begun = None
        for state, _ in run.follow(PATIENCE):
            if state.attempt > attempt:
                begun = state.seq if begun is None else begun
                if state.over or state.seq >= begun + news:
                    break
        time.sleep(self._chance.uniform(0, 0.1 if amid else 4))  # waits for nothing: this is what makes it random
        return state.attempt

    def _strike(self, run):
        """Kill the worker, if there is one and not enough have been killed yet; whether it was done."""
        with self._counting:
            state = run.state
            if self.done or state.over:
                return False
            with contextlib.suppress(ProcessLookupError):  # it may end at this very moment
                os.kill(state.pid, signal.SIGKILL)
                self.struck.append(state.status)
            return True


def test_killed_again_and_again(images, scale, figures):
    """Every run ends with the bits of one that was left alone."""
    reaper = Reaper(scale.kills, seed=1)
    made = {name: recipe(images, **{"checkpoint_every": 5, **PLANS[name]}) for name in [*PLANS][: scale.plans]}
    whole, tormented = {}, []

    def undisturbed(name):
        run = nt.start(made[name])
        assert run.wait(PATIENCE).status == "finished", run.log()
        whole[name] = run

    def one(name):
        while True:
            # A repeat takes over what was decided by measuring: precision, and what is kept.
            tormented.append((name, reaper.torment(nt.repeat(whole[name]))))
            if reaper.done:
                return

    with ThreadPoolExecutor(scale.parallel) as pool:
        list(pool.map(undisturbed, made))
        list(pool.map(one, made))
    expected = {name: outcome(run) for name, run in whole.items()}
    assert len(reaper.struck) == scale.kills
    different = [name for name, run in tormented if outcome(run) != expected[name]]
    assert different == []
    starting = reaper.struck.count("starting")
    figures |= {
        "plans": len(made),
        "runs at a time": scale.parallel,
        "workers killed at random moments": f"{len(reaper.struck)}, {starting} of them before the first step",
        "runs that ended with other bits": f"{len(different)} of {len(tormented)}",
    }


def test_two_who_command_at_once(images, scale, figures):
    """Every command is answered once, no acknowledged change is lost, and the history alone repeats the run."""
    run = nt.start(recipe(images, epochs=100_000, cache="off"))
    until(run, lambda s: s.history)
    command = [sys.executable, "-m", "tests.soak.controller", run.id, str(scale.commands // 2)]
    controllers = [
        subprocess.Popen(
            [*command, str(seed)],
            stdout=subprocess.PIPE,
            text=True,
            env=worker_environment() | {"PYTHONPATH": str(ROOT)},
            cwd=ROOT,
        )
        for seed in (1, 2)
    ]
    said = [[], []]
    listeners = [
        threading.Thread(target=lambda c=c, s=s: s.extend(map(json.loads, c.stdout)))
        for c, s in zip(controllers, said, strict=True)
    ]
    for listener in listeners:
        listener.start()
    killed = 0
    chance = random.Random(3)
    while any(listener.is_alive() for listener in listeners):
        done = sum(map(len, said))
        if killed < scale.kills_between and done >= (killed + 1) * scale.commands / (scale.kills_between + 1):
            state = run.state
            if state.pid is not None and not state.over and not (state.waits and state.waits.left):
                os.kill(state.pid, signal.SIGKILL)
                killed += 1
        time.sleep(chance.uniform(0.01, 0.05))
    for controller in controllers:
        assert controller.wait(30) == 0
        controller.stdout.close()
    if run.state.status in ("lost", "paused"):
        run.resume()
    until(run, lambda s: s.status == "running")
    run.set_epochs(len(run.history()) + 3)
    state = run.wait(PATIENCE)
    assert state.status == "finished", run.log()

    everything = [*said[0], *said[1]]
    answers = [answer for answer in state.commands if answer.op]
    assert len({answer.id for answer in answers}) == len(answers)
    accepted = [answer for answer in answers if answer.accepted and answer.op in CHANGES]
    assert [(c.op, c.arguments) for c in state.changes] == [(a.op, a.arguments) for a in accepted]
    rates = [change.arguments["lr"] for change in state.changes if change.op == "set_lr"]
    acknowledged = [s["given"][0] for s in everything if s["op"] == "set_lr" and s["answered"]]
    assert set(acknowledged) <= set(rates)
    assert len(set(rates)) == len(rates)

    again = nt.repeat(run)
    assert again.wait(PATIENCE).status == "finished", again.log()
    assert outcome(again) == outcome(run)

    assert len(everything) == scale.commands
    seconds = sorted(s["seconds"] for s in everything if s["answered"])
    steps = [row.seconds / (row.step - before.step) for before, row in zip(state.history, state.history[1:], strict=False)]
    late = sum("meanwhile" in s["refused"] for s in everything)
    figures |= {
        "commands from two processes": len(everything),
        "acknowledged": len(seconds),
        "refused because the other one had changed the run meanwhile": late,
        "refused for another reason": sum(bool(s["refused"]) for s in everything) - late,
        "workers killed in between": killed,
        "acknowledged changes lost": 0,
        "changes that another run repeated to the same bits": len(state.changes),
        "time to the answer, median": f"{1000 * statistics.median(seconds):.0f} ms",
        "time to the answer, 95 %": f"{1000 * seconds[int(0.95 * len(seconds))]:.0f} ms",
        "a step with its share of validation, median": f"{1000 * statistics.median(steps):.0f} ms",
    }
