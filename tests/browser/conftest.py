"""A real browser, a bare page that holds a widget's real module, and a real Jupyter server."""

from __future__ import annotations

import os

import pytest

from tests.support.browsers import FLAGS, NAMES, PATIENCE, chromium
from tests.support.jupyter import Server


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

    def show(widget, state=None, *, clock=False, **options):
        page = new_page(**options)
        if clock:
            page.clock.install()  # the page's time is the test's to set
        page.set_content("<!doctype html><meta name=color-scheme content='light dark'><body></body>")
        page.evaluate(RENDER, {"state": {**state_of(widget), **(state or {})}, "esm": widget._esm, "css": widget._css})
        return page

    return show


@pytest.fixture(scope="session")
def server(browser, tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("jupyter"))
    yield started
    started.stop()
