"""Explanations for a notebook, computed by a child process: the kernel loads no torch and does not compete with a worker.

The child (see `server`) exits when its input closes or after ten idle minutes; the next question starts another one. All
views of a kernel share one.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from nbtransfer.jobs.child import EXIT_SECONDS
from nbtransfer.jobs.environment import worker_environment
from nbtransfer.store.home import home

SERVER = [sys.executable, "-P", "-m", "nbtransfer.comparison.server"]


class Explainer:
    """Answers questions one at a time. `ask` blocks, so call it from a thread of its own."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None
        self._asking = threading.Lock()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one question. On failure "ok" is false and "error" says what to do."""
        with self._asking:
            # Where runs are is decided now: the child was started earlier, perhaps in another folder.
            question = json.dumps({**request, "home": str(home()), "folder": str(Path.cwd())})
            answer, child = self._exchange(question)
            if not answer and _reap(child) == os.EX_OK:  # it exited for being idle at this very moment
                answer, child = self._exchange(question)
            if answer:
                reply: dict[str, Any] = json.loads(answer)
                return reply
            return {"ok": False, "error": self._exit_message(child)}

    def _exchange(self, question: str) -> tuple[str, subprocess.Popen[str]]:
        """The answer line and the child it came from; an empty line if the child exited instead."""
        child = self._child if self._child is not None and self._child.poll() is None else self._start()
        try:
            print(question, file=child.stdin, flush=True)
            line = child.stdout.readline() if child.stdout else ""
            return (line if line.endswith("\n") else ""), child  # a killed child may leave half a line
        except (BrokenPipeError, ValueError):
            return "", child

    def close(self) -> None:
        """End the child, if there is one. A pending question gets an error."""
        child, self._child = self._child, None
        if child is None:
            return
        child.terminate()
        with self._asking:  # a pending `ask` reads the end of the stream first
            _reap(child)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> subprocess.Popen[str]:
        if self._child is not None:
            _reap(self._child)
        self._child = subprocess.Popen(
            SERVER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=worker_environment(),
            text=True,
            encoding="utf-8",
            start_new_session=True,  # interrupting the kernel must not interrupt it
        )
        return self._child

    def _exit_message(self, child: subprocess.Popen[str]) -> str:
        status = _reap(child)
        self._child = None
        hint = " (often out of memory)" if status == -signal.SIGKILL else ""
        return f"the explaining process exited with status {status}{hint} before it could answer; ask again"


def _reap(child: subprocess.Popen[str]) -> int:
    """Close the pipes and wait for the exit status, so that neither a zombie nor an open file remains."""
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    try:
        return child.wait(EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


@functools.cache
def shared_explainer() -> Explainer:
    """The explainer of this kernel. One process holds the framework and the models for all views."""
    return Explainer()
