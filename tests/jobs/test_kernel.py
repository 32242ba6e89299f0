"""A run started from a real notebook kernel outlives its interrupt, its restart, its death and its shutdown."""

from __future__ import annotations

import os
import signal

import nbtransfer as nt
from tests.support.runs import PATIENCE, until


def test_interrupt_restart_kill_and_shutdown(kernel, images):
    manager, client = kernel
    printed = []
    code = (
        f"import nbtransfer as nt; from tests.support.runs import recipe; from pathlib import Path\n"
        f"run = nt.start(recipe(Path({str(images)!r}), epochs=5000)); print(run.id)"
    )
    reply = client.execute_interactive(
        code, timeout=60, output_hook=lambda m: printed.append(m["content"].get("text", "")), allow_stdin=False
    )
    assert reply["content"]["status"] == "ok", printed
    run = nt.attach("".join(printed).strip())

    def goes_on():
        epochs = len(run.state.history)
        until(run, lambda s: len(s.history) > epochs)

    goes_on()
    manager.interrupt_kernel()
    goes_on()
    manager.restart_kernel(now=False)
    goes_on()
    os.kill(manager.provisioner.pid, signal.SIGKILL)
    goes_on()
    manager.restart_kernel(now=True)
    goes_on()
    manager.shutdown_kernel(now=False)
    goes_on()
    run.stop()
    assert run.wait(PATIENCE).status == "stopped"
