"""What the dashboard costs, in seconds, messages and bytes, in a real JupyterLab and a real kernel."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

PAINTS, TOGGLES, LIVE_SECONDS, ROUND_TRIPS = 5, 6, 20, 200
PATIENCE = 90_000
CHOOSE = ("%load_ext nbtransfer", "%transfer data demo:textile --per-class 100")
RUN = """
import nbtransfer as nt
run = nt.start(nt.Recipe(
    task=nt.Task.from_folder({images!r}, holdout=0.25), backbone="shufflenet_v2_x0_5", weights=None, strategy="ft",
    epochs=100_000, batch_size=8, image_size=40, device="cpu", threads=1,
))
"""
"""The fastest run there is, epochs of a fraction of a second: what it tells is the most that any run does."""


def measure() -> dict[str, float]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        draw_images(folder / "images")
        return {**in_the_browser(folder), **round_trips(folder)}


def draw_images(root: Path) -> None:
    from tests.support.pictures import COLOURS, picture

    for offset, (name, colour) in enumerate(COLOURS.items()):
        (root / name).mkdir(parents=True)
        for number in range(12):
            picture(colour, 100 * offset + number).save(root / name / f"{number:02}.png")


def in_the_browser(folder: Path) -> dict[str, float]:
    if importlib.util.find_spec("playwright") is None or importlib.util.find_spec("jupyterlab") is None:
        print("  playwright or jupyterlab is not installed: what a browser is needed for is left out")
        return {}
    from playwright.sync_api import sync_playwright

    from tests.support.browsers import FLAGS, NAMES, chromium
    from tests.support.jupyter import Server

    path = chromium()
    if path is None:
        print(f"  no browser ({', '.join(NAMES)}, or one named in $CHROMIUM): what one is needed for is left out")
        return {}
    with sync_playwright() as playwright, ExitStack() as after:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        after.callback(browser.close)
        own = folder / "jupyter"
        own.mkdir()
        server = Server(own)
        after.callback(server.stop)
        opened = functools.partial(Notebook, browser, server)
        return {**first_paints(opened), **live_run(opened, folder / "images")}


@dataclasses.dataclass(frozen=True)
class Message:
    """What one frame on the kernel's WebSocket held."""

    sent: bool
    kind: str
    comm: str
    date: datetime
    size: int


def read(payload: str | bytes, sent: bool) -> Message:
    """Either as JSON, or as v1.kernel.websocket.jupyter.org: number of offsets, offsets, channel, header, …, content, …"""
    if isinstance(payload, str):
        whole = json.loads(payload)
        header, content, size = whole["header"], whole["content"], len(payload.encode())
    else:
        numbers = (int.from_bytes(payload[at : at + 8], "little") for at in itertools.count(8, 8))
        ends = itertools.pairwise(itertools.islice(numbers, int.from_bytes(payload[:8], "little")))
        _channel, header, _parent, _metadata, content, *_ = (payload[start:end] for start, end in ends)
        header, content, size = json.loads(header), json.loads(content), len(payload)
    data = content.get("data", {}) if header["msg_type"] == "comm_msg" else {}
    comm = data.get("content", {}).get("kind", "custom") if data.get("method") == "custom" else data.get("method", "")
    return Message(sent, header["msg_type"], comm, datetime.fromisoformat(header["date"]), size)


class Notebook:
    """A notebook in a page and a kernel of its own, and all that goes over its kernel's WebSocket."""

    def __init__(self, browser: Any, server: Any, cells: Sequence[str]) -> None:
        import nbformat

        made = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
        made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}  # else Lab asks
        name = f"{time.time_ns()}.ipynb"
        nbformat.write(made, server.folder / name)
        self.server, self.wire = server, []
        self.context = browser.new_context(viewport={"width": 1400, "height": 1000})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("websocket", self._listen)
        self.page.goto(server.url("lab", name))
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        self.page.wait_for_function(
            "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        )

    def _listen(self, socket: Any) -> None:
        if "/channels" in socket.url:
            socket.on("framesent", lambda payload: self.wire.append(read(payload, sent=True)))
            socket.on("framereceived", lambda payload: self.wire.append(read(payload, sent=False)))

    def run(self, number: int, until: str = "true") -> float:
        """Seconds from the moment a cell is run until it has ended, or until there is what a script in the page looks for."""
        script = """async ([number, sought]) => {
          const holds = new Function(`return ${sought}`);
          const notebook = window.jupyterapp.shell.currentWidget.content;
          notebook.activeCellIndex = number;
          const began = performance.now();
          const ended = window.jupyterapp.commands.execute("notebook:run-cell");
          if (sought === "true" && !(await ended)) throw new Error(`cell ${number} failed`);
          while (!holds()) {
            if (performance.now() - began > 90_000) throw new Error(`never: ${sought}`);
            await new Promise(requestAnimationFrame);
          }
          if (sought !== "true") await new Promise(requestAnimationFrame);  // by the next frame, this one has been painted
          return (performance.now() - began) / 1000;
        }"""
        return self.page.evaluate(script, [number, until])

    def rest(self, seconds: float) -> None:
        self.page.wait_for_timeout(1000 * seconds)

    def cell_seconds(self) -> float:
        """How long the kernel worked on the cell that was run last."""
        while (found := [m.kind for m in self.wire]).count("execute_reply") < found.count("execute_input"):
            self.rest(0.05)
        dates = {message.kind: message.date for message in self.wire}
        return (dates["execute_reply"] - dates["execute_input"]).total_seconds()

    def close(self) -> None:
        self.context.close()
        self.server.end_sessions()


def first_paints(opened: Callable[[Sequence[str]], Notebook]) -> dict[str, float]:
    paints, firsts, seconds = [], [], []
    toggled: dict[str, float] = {}
    for number in range(PAINTS):
        book = opened([*CHOOSE, "%transfer", "%transfer"])
        book.run(0)
        book.run(1)
        paints.append(book.run(2, "document.querySelector('.nbt-start')?.getClientRects().length"))
        firsts.append(book.cell_seconds())
        if number == PAINTS - 1:
            toggled = toggles(book)
        book.run(3)
        seconds.append(book.cell_seconds())
        book.close()
    figures = {
        "dashboard, cell run to first paint (s)": statistics.median(paints),
        "dashboard, the slowest of these (s)": max(paints),
        "dashboard, kernel's share, first of a kernel (s)": statistics.median(firsts),
        "dashboard, kernel's share, any further one (s)": statistics.median(seconds),
    }
    return figures | toggled


def toggles(book: Notebook) -> dict[str, float]:
    """A stage is ticked off and on again; what beats meanwhile has nothing to do with it."""
    box = book.page.locator("[role=treeitem][title=stem] .nbt-box")
    box.scroll_into_view_if_needed()
    book.rest(1)
    start = len(book.wire)
    for _ in range(TOGGLES):
        box.click()
        book.rest(0.6)
    heard = [m for m in book.wire[start:] if m.comm != "beat"]
    comms = [m for m in heard if m.kind == "comm_msg"]
    groups = {
        "browser to kernel": [m for m in comms if m.sent],
        "kernel to browser": [m for m in comms if not m.sent],
        "of these, echo": [m for m in comms if m.comm == "echo_update"],
        "besides, status of the kernel": [m for m in heard if m.kind == "status"],
        "besides, anything else": [m for m in heard if m.kind not in ("comm_msg", "status")],
    }
    return counted("one toggle", groups, 1 / TOGGLES)


def counted(what: str, groups: dict[str, list[Message]], scale: float) -> dict[str, float]:
    figures = {}
    for name, messages in groups.items():
        figures[f"{what}, {name} (messages)"] = scale * len(messages)
        figures[f"{what}, {name} (bytes)"] = scale * sum(m.size for m in messages)
    return figures


def live_run(opened: Callable[[Sequence[str]], Notebook], images: Path) -> dict[str, float]:
    book = opened(
        [RUN.format(images=str(images)), "nt.dashboard(run=run)", "run.stop(); assert run.wait(60).status == 'stopped'"]
    )
    book.run(0)
    book.run(1, "document.querySelector('.nbt-dashboard path.nbt-train')?.getAttribute('d').length > 20")
    book.rest(3)
    start, began = len(book.wire), time.perf_counter()
    book.rest(LIVE_SECONDS)
    heard, seconds = book.wire[start:], time.perf_counter() - began
    book.run(2)
    book.close()
    received = [m for m in heard if m.kind == "comm_msg" and not m.sent]
    groups = {
        "kernel to browser": received,
        "of these, news": [m for m in received if m.comm == "news"],
        "of these, traits": [m for m in received if m.comm in ("update", "echo_update")],
        "of these, beats": [m for m in received if m.comm == "beat"],
        "browser to kernel": [m for m in heard if m.kind == "comm_msg" and m.sent],
        "besides, all else": [m for m in heard if m.kind != "comm_msg"],
    }
    return counted("a minute of a run", groups, 60 / seconds)


# In a kernel


def round_trips(folder: Path) -> dict[str, float]:
    from tests.support.processes import reap

    home = folder / "kernel-home"
    with kernel({**os.environ, "NBTRANSFER_HOME": str(home)}) as client:
        columns = {}
        try:
            carried_out(client, "import nbtransfer as nt, nbtransfer.ui.dashboard")
            columns["idle"] = trips(client)
            carried_out(client, RUN.format(images=str(folder / "images")))
            carried_out(client, "import time\nwhile not run.history(): time.sleep(0.1)")
            columns["a run beside it"] = trips(client)
            hello = '{"kind": "hello", "view": "benchmark"}'  # from no browser, but all that is sent is sent
            carried_out(client, f"d = nt.dashboard(run=run)\nd._receive({hello})")
            columns["a dashboard on it"] = trips(client)
            carried_out(client, "run.stop(); assert run.wait(60).status == 'stopped'")
        finally:
            reap(home)
    figures = {}
    for name, seconds in columns.items():
        figures[f"kernel's round trip, {name}, median (ms)"] = 1000 * statistics.median(seconds)
        figures[f"kernel's round trip, {name}, p95 (ms)"] = 1000 * statistics.quantiles(seconds, n=20)[-1]
    return figures


@contextmanager
def kernel(environment: dict[str, str]) -> Iterator[Any]:
    import jupyter_client

    manager = jupyter_client.KernelManager(kernel_name="python3")
    manager.kernel_spec.argv[0] = sys.executable
    manager.start_kernel(env=environment, stderr=subprocess.DEVNULL)  # it warns of its own connection
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def carried_out(client: Any, code: str) -> None:
    reply = client.execute(code, silent=True, reply=True, timeout=60)["content"]
    assert reply["status"] == "ok", reply


def trips(client: Any) -> list[float]:
    """Seconds from asking for `pass` to the answer, at times that have nothing to do with the pump's."""
    seconds = []
    for _ in range(ROUND_TRIPS):
        time.sleep(random.uniform(0.01, 0.05))
        began = time.perf_counter()
        carried_out(client, "pass")
        seconds.append(time.perf_counter() - began)
    return seconds


if __name__ == "__main__":
    for what, value in measure().items():
        print(f"{what:58} {value:10.3f}")
