"""The dashboard's module in a bare page with a fake model: what it shows, asks for and lets go of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import nbtransfer as nt
from nbtransfer.core.evaluation import Evaluation
from nbtransfer.ui.confusion import confusion_html

AXE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
HOSTILE = "<img src=x onerror=window.hacked=1>"
ROW = {
    "phase": "ft", "epoch": 1, "step": 4, "loss": 1.1, "accuracy": 0.4, "val_loss": 1.0, "val_accuracy": 0.5,
    "val_interval": [0.3, 0.7], "lr": 0.001, "seconds": 2.0, "best": True,
}  # fmt: skip
RUN = {
    "id": "20260101-000000-abcdef", "backbone": "resnet18", "status": "running", "ended": False, "message": "",
    "recipe": f"{HOSTILE} · resnet18 · ft",
    "phase": "ft",
    "phases": [{"name": "ft", "epochs": 4, "lr": 0.001, "trainable": 1000, "summary": "", "solver": None}], "total": 2000,
    "device": "cpu", "epochs": 4, "seconds": None, "best": True, "verdict": HOSTILE, "caveats": [HOSTILE], "notes": [HOSTILE],
}  # fmt: skip
PROGRESS = {"epoch": 2, "fraction": 0.3, "left": 75, "computing": None}
RESULT = {
    "scores": [{"split": "val", "accuracy": 0.5, "interval": [0.3, 0.7], "correct": 5, "examples": 10}], "split": "val",
    "confusion": confusion_html(Evaluation("val", (HOSTILE, "b"), ((3, 2), (3, 2)), 1.0)),
    "header": ["class"], "rows": [[HOSTILE], ["b"]],
    "mistakes": [{"picture": None, "answer": HOSTILE, "source": HOSTILE}], "wrong": 5, "receipt": HOSTILE,
}  # fmt: skip


@pytest.fixture
def board(images):
    (images / "red").rename(images / HOSTILE)
    made = nt.dashboard(nt.Task.from_folder(images))
    yield made
    made.close()


def change(page, **traits):
    page.evaluate("(traits) => Object.entries(traits).forEach(([name, value]) => window.model.set(name, value))", traits)


def asked(page, op):
    return page.evaluate("(op) => window.sent.filter((m) => m.op === op)", op)


def answer(page, request, **rest):
    page.evaluate("(message) => window.hear(message)", {"kind": "reply", "id": request["id"], **rest})


def test_names_are_text_never_markup(render, board):
    page = render(board)
    change(page, run=RUN, log=HOSTILE, result=RESULT)
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("window.hacked") is None
    assert page.get_by_text(HOSTILE).count() >= 6


def test_a_live_run_shows_where_it_is_and_its_curves(render, board):
    page = render(board)
    assert not page.get_by_role("heading", name="Run", exact=True).is_visible()
    change(page, run=RUN)
    news = {
        "kind": "news",
        "progress": PROGRESS,
        "points_from": 0,
        "points": [[0.25, 1.3], [0.5, 1.2]],
        "rows_from": 0,
        "rows": [ROW],
    }
    page.evaluate("(message) => window.hear(message)", news)
    assert page.get_by_text("Epoch 2 of 4; ft, about 1 min 15 s left.").filter(visible=True).count() == 1
    assert page.get_by_role("img", name="Loss (nats) by epoch").is_visible()
    assert page.get_by_text("Best: 0.500 (95 % 0.300–0.700) in epoch 1.").is_visible()
    lengths = "[...document.querySelectorAll('path.nbt-train')].map((path) => path.getAttribute('d').length)"
    before = page.evaluate(lengths)[0]
    page.evaluate(
        "(message) => window.hear(message)", {**news, "points_from": 2, "points": [[0.75, 1.1]], "rows_from": 1, "rows": []}
    )
    assert page.evaluate(lengths)[0] > before
    page.get_by_text("Values as a table").click()
    assert page.get_by_role("cell", name="0.500 (0.300–0.700)").is_visible()


def test_start_asks_once_and_says_what_is_wrong(render, board):
    page = render(board)
    page.get_by_role("button", name="Start").click()
    [request] = asked(page, "start")
    assert page.get_by_role("button", name="Start").is_disabled()
    answer(page, request, ok=False, error="the disk is full")
    assert page.get_by_role("alert").filter(has_text="the disk is full").is_visible()
    page.get_by_role("button", name="Start").click()
    change(page, run=RUN)
    assert page.get_by_role("button", name="Start").is_disabled()
    page.get_by_role("button", name="Stop").click()
    assert len(asked(page, "stop")) == 1


def test_a_run_is_paused_resumed_and_changed(render, board):
    page = render(board)
    change(page, run=RUN)
    page.get_by_role("button", name="Pause").click()
    assert len(asked(page, "pause")) == 1
    page.get_by_role("button", name="Apply to this run").click()
    [request] = asked(page, "replan")
    answer(page, request, ok=False, error=f"{HOSTILE} has changed the run meanwhile")
    assert page.get_by_role("alert").filter(has_text="has changed the run meanwhile").is_visible()
    change(page, run={**RUN, "status": "paused", "message": "as you asked"})
    page.get_by_role("button", name="Resume").click()
    assert len(asked(page, "resume")) == 1
    change(page, run={**RUN, "status": "lost", "ended": True})
    assert page.get_by_role("button", name="Resume").is_visible()
    assert not page.get_by_role("button", name="Apply to this run").is_visible()
    change(page, run={**RUN, "status": "finished", "ended": True})
    assert not page.get_by_role("button", name="Resume").is_visible()


def test_choosing_sends_one_request_each(render, board):
    page = render(board)
    page.get_by_label("Find a backbone").fill("efficientnet_lite0")
    page.get_by_label("Find a backbone").press("Enter")
    page.get_by_label("Strategy").select_option("ft")
    page.get_by_label("Epochs").fill("7")
    page.get_by_label("Learning rate").fill("1e-2")
    page.get_by_label("Learning rate").press("Tab")
    changes = [request["args"] for request in asked(page, "choose")]
    assert changes == [{"backbone": "efficientnet_lite0"}, {"strategy": "ft"}, {"epochs": "7"}, {"lr": "1e-2"}]
    answer(page, asked(page, "choose")[2], ok=False, error="epochs is 7; use fewer")
    page.wait_for_function("document.querySelector('[data-name=epochs]').value === '10'")  # back to what holds


def test_backbones_are_searched_by_name_and_limits(render, board):
    page = render(board)
    search, rows = page.get_by_label("Find a backbone"), page.get_by_label("Backbones").locator("option")
    search.fill("lite1")
    assert rows.all_text_contents() == ["efficientnet_lite1 · 4.14 M parameters · 599 M MACs · 240 px"]  # at once
    page.get_by_text("Limits").click()
    page.get_by_label("Max parameters (M)").fill("4,5")
    page.get_by_label("Weights are on this machine").check()
    page.wait_for_function("window.sent.some((m) => m.op === 'find' && m.args.downloaded)")
    request = asked(page, "find")[-1]
    assert request["args"] == {
        "text": "lite1", "max_params": "4,5", "max_multiply_adds": "", "max_size": "", "licence": "", "downloaded": True,
    }  # fmt: skip
    late = [[HOSTILE, HOSTILE], ["timm/x", "timm/x · 3 M parameters"]]
    answer(page, request, ok=True, value={"rows": late, "count": 1234})
    assert rows.all_text_contents() == [text for _, text in late]
    assert page.get_by_text("the first 2 of 1,234").is_visible()
    page.get_by_label("Backbones").select_option("timm/x")
    assert [request["args"] for request in asked(page, "choose")] == [{"backbone": "timm/x"}]
    search.fill("lite")
    page.wait_for_function("(n) => window.sent.filter((m) => m.op === 'find').length > n", arg=len(asked(page, "find")))
    answer(page, request, ok=True, value={"rows": late, "count": 2})  # of the query before: too late
    assert rows.count() == 3
    answer(page, asked(page, "find")[-1], ok=False, error="the image size is 'x', not a number")
    assert page.get_by_role("alert").filter(has_text="not a number").is_visible()


def test_ticking_counts_parameters_with_the_head(render, board):
    page = render(board)
    page.get_by_role("button", name="Freeze all").click()
    assert page.get_by_text("1.54 k of 11.2 M parameters learn, 1.54 k of them in the head").is_visible()
    assert page.evaluate("window.saves") == 1


def test_a_silent_kernel_is_noticed_and_how_to_go_on_is_said(render, board):
    page = render(board, clock=True)
    change(page, run=RUN)
    alert = page.get_by_role("alert").filter(has_text="The kernel is not responding")
    page.evaluate("window.hear({ kind: 'beat' })")
    page.clock.run_for(9_000)
    assert alert.count() == 0
    page.clock.run_for(2_000)  # five missed beats
    assert alert.is_visible()
    assert alert.get_by_text("%transfer attach 20260101-000000-abcdef").is_visible()
    page.evaluate("window.hear({ kind: 'beat' })")
    assert not alert.is_visible()


def test_a_request_without_an_ack_is_noticed(render, board):
    page = render(board, clock=True)
    page.get_by_role("button", name="Start").click()
    alert = page.get_by_role("alert").filter(has_text="The kernel has not responded yet")
    page.clock.run_for(4_000)
    assert alert.is_visible()
    page.evaluate("(id) => window.hear({ kind: 'ack', id })", asked(page, "start")[0]["id"])
    assert not alert.is_visible()


def test_two_views_show_the_same_and_one_can_go(render, board):
    page = render(board)
    listeners = page.evaluate("window.watched()")
    page.evaluate("async () => { window.endOfSecond = await window.show(); }")
    assert page.evaluate("window.watched()") == 2 * listeners
    change(page, frozen=["stem"])
    assert page.locator("[role=treeitem][title=stem][aria-checked=false]").count() == 2
    page.evaluate("window.endOfSecond()")
    assert page.evaluate("window.watched()") == listeners
    hellos = page.evaluate("window.sent.filter((m) => m.kind === 'hello' || m.kind === 'bye').map((m) => [m.kind, m.view])")
    assert [kind for kind, _ in hellos] == ["hello", "hello", "bye"]
    assert hellos[1][1] == hellos[2][1]


def test_a_comparison_is_asked_for_and_shown(render, board):
    page = render(board)
    change(page, run={**RUN, "status": "finished", "ended": True})
    page.get_by_role("button", name="Compare before and after").click()
    images = [{"sample": ["val", 4], "text": "a.png: true: a, predicted: b", "right": False}]
    choices = {"before": [["0-lp", "after lp"]], "after": [["0-lp", "after lp"], ["best", "best"]], "classes": ["a", "b"]}
    answer(page, asked(page, "snapshots")[0], ok=True, value={**choices, "images": images})
    page.wait_for_function("window.sent.some((m) => m.op === 'explain')")
    expected = {"samples": [["val", 4]], "target": None, "before": "0-lp", "after": "best", "narrow": False}
    assert asked(page, "explain")[0]["args"] == expected
    page.get_by_label("Evidence for").select_option("b")
    page.wait_for_function("window.sent.filter((m) => m.op === 'explain').length === 2")
    first, second = asked(page, "explain")
    drawn = "<svg viewBox='0 0 9 9'><path d='M0 0h9' stroke='currentColor'/></svg>"
    found = {"svg": drawn, "caption": HOSTILE, "header": ["part", "sum"], "table": [["shared", "0.5"]]}
    answer(page, second, ok=True, value=found)
    answer(page, first, ok=True, value={**found, "caption": "too late"})  # the newest question counts
    assert page.get_by_role("img", name=HOSTILE).is_visible()
    assert page.get_by_text("too late").count() == 0
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize(("width", "columns"), [(480, 1), (1200, 2)])
def test_it_fits_narrow_and_wide(render, board, width, columns):
    page = render(board, viewport={"width": width, "height": 800})
    change(page, run={**RUN, "status": "starting"}, result=RESULT)
    layout = page.evaluate("getComputedStyle(document.querySelector('.nbt-dashboard')).gridTemplateColumns")
    assert len(layout.split()) == columns
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".nbt-nearby").is_visible() == (columns == 1)  # what Start did, beside it


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(render, board, scheme):
    """Contrast of at least 4.5 between text and what is behind it, and of 3 for fields and curves (WCAG 2, AA)."""
    page = render(board, color_scheme=scheme)
    change(page, run=RUN, result=RESULT)
    news = {"progress": PROGRESS, "points_from": 0, "points": [[0.25, 1.3], [0.5, 1.2]], "rows_from": 0, "rows": [ROW]}
    page.evaluate("(message) => window.hear(message)", {"kind": "news", **news})
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(render, board, scheme):
    """The checks of WCAG 2.2, levels A and AA, that a program can make."""
    if not AXE.exists():
        advice = "axe-core is not installed; `make js` does that where there is Node"
        pytest.fail(advice) if os.environ.get("CI") else pytest.skip(advice)
    page = render(board, color_scheme=scheme)
    change(page, run=RUN, result=RESULT, log="a line")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = page.evaluate("(values) => axe.run('.nbt', { runOnly: { type: 'tag', values } })", tags)
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []


CONTRAST = """() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  const paint = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const poor = [];
  const look = (el, colour, least) => {
    const grounds = [];
    for (let at = el; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
    const [a, b] = [grounds, [...grounds, colour]].map(paint).map(light).sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < least) poor.push([el.outerHTML.slice(0, 80), colour, (a + 0.05) / (b + 0.05)]);
  };
  for (const el of document.querySelectorAll(".nbt *")) {
    if (!el.checkVisibility() || el.closest("option, :disabled")) continue;
    const style = getComputedStyle(el);
    const text = [...el.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (text) look(el, el.closest("svg") ? style.fill : style.color, 4.5);
    if (el.matches("input:not([type=checkbox]), select")) look(el, style.borderTopColor, 3);
    if (el.matches("path.nbt-line")) look(el, style.stroke, 3);
  }
  return poor;
}"""
