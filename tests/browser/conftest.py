"""A real browser, a bare page that holds a widget's real module, and real Jupyter servers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.support.processes import reap

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 300_000
"""Milliseconds. Before a slow machine shows the first step of a training it has looked at all images."""


def chromium() -> str | None:
    """The browser of this machine, if it has one."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def browser():
    path = chromium()
    if path is None:
        advice = f"no browser ({', '.join(NAMES)}) was found; install one, or name it in $CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(advice)
        pytest.skip(advice)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def new_page(browser):
    """Make pages; whatever goes wrong in a widget's module fails the test at its end."""
    contexts, problems = [], []

    def make(**options):
        contexts.append(browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options}))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        # Jupyter's own pages have errors of their own; a widget's module is loaded from a blob.
        page.on("pageerror", lambda error: "blob:" in (error.stack or "") and problems.append(error.stack))
        return page

    yield make
    for context in contexts:
        context.close()
    assert problems == []


RENDER = """
async ({ state, esm, css }) => {
  const style = document.createElement("style");
  style.textContent = css;
  document.head.append(style);
  const listeners = {};
  const fire = (event, ...args) => [...(listeners[event] ?? [])].forEach((listener) => listener(...args));
  window.sent = [];
  window.saves = 0;
  window.model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; fire(`change:${name}`); },
    save_changes: () => window.saves++,
    on: (event, listener) => (listeners[event] ??= []).push(listener),
    off: (event, listener) => (listeners[event] = (listeners[event] ?? []).filter((other) => other !== listener)),
    send: (message) => window.sent.push(message),
  };
  window.hear = (message) => fire("msg:custom", message);
  window.watched = () => Object.entries(listeners).filter(([event]) => event !== "msg:custom").flatMap(([, all]) => all).length;
  const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  const { default: widget } = await import(url);
  window.show = async () => {
    const el = document.createElement("div");
    document.body.append(el);
    return widget.render({ model: window.model, el });
  };
  window.endOfView = await window.show();
}
"""


def state_of(widget) -> dict:
    """The traits a browser would be sent."""
    left_out = ("layout", "tooltip", "tabbable", "comm")
    return {name: value for name, value in widget.get_state().items() if name[0] != "_" and name not in left_out}


@pytest.fixture
def render(new_page):
    """Show a widget in a bare page with a fake model that records what is sent."""

    def show(widget, state=None, **options):
        page = new_page(**options)
        page.set_content("<!doctype html><meta name=color-scheme content='light dark'><body></body>")
        page.evaluate(RENDER, {"state": {**state_of(widget), **(state or {})}, "esm": widget._esm, "css": widget._css})
        return page

    return show


class Server:
    """JupyterLab and Notebook 7, with folders of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder / "work", folder / "home"
        self.folder.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        own = {f"JUPYTER_{kind}_DIR": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
        environment = {**os.environ, **own, "HOME": str(folder), "IPYTHONDIR": str(folder / "ipython")}
        environment |= {"NBTRANSFER_HOME": str(self.runs), "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")}
        news = folder / "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
        news.parent.mkdir(parents=True)
        news.write_text('{"fetchNews": "false", "checkForUpdates": false}')
        self.log = (folder / "server.log").open("wb")
        flags = [
            "--no-browser", "--ip=127.0.0.1", f"--port={self.port}", "--IdentityProvider.token=tok", "--allow-root",
            "--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True", "--LabApp.news_url=",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", f"--ServerApp.root_dir={self.folder}",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", *flags],
            env=environment, cwd=self.folder, stdout=self.log, stderr=self.log, start_new_session=True,
        )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        for _ in range(600):
            try:
                return self.api("api/status")
            except OSError:
                assert self.process.poll() is None, Path(self.log.name).read_text()
                time.sleep(0.1)
        raise TimeoutError(Path(self.log.name).read_text())

    def api(self, path: str, method: str = "GET"):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{path}", method=method, headers={"Authorization": "token tok"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def url(self, kind: str, notebook: str) -> str:
        place = {"lab": f"lab/tree/{notebook}?reset&", "notebook": f"notebooks/{notebook}?"}[kind]
        return f"http://127.0.0.1:{self.port}/{place}token=tok"

    def end_sessions(self) -> None:
        for session in self.api("api/sessions"):
            self.api(f"api/sessions/{session['id']}", "DELETE")

    def stop(self) -> None:
        self.end_sessions()
        reap(self.runs)
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(30)
        self.log.close()


@pytest.fixture(scope="session")
def server(browser, tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("jupyter"))
    yield started
    started.stop()
