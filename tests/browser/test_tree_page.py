"""The layer tree in a real browser: what is ticked, keys, roles, search."""

from __future__ import annotations

import pytest

import nbtransfer as nt
from nbtransfer.core.tree import cover, frozen_in, tree
from nbtransfer.ui.layer_tree import LayerTree


@pytest.fixture
def page(render):
    return render(LayerTree("resnet18", nt.FreezePlan.up_to("resnet18", "layer1")))


def row(page, name):
    return page.locator(f'[role=treeitem][title="{name}"]')


def ticks(page):
    """What each visible row says and shows."""
    rows = page.locator("[role=treeitem]:visible").all()
    return {r.get_attribute("title"): (r.get_attribute("aria-checked"), r.locator(".nbt-state").inner_text()) for r in rows}


def frozen(page):
    return page.evaluate("window.model.get('frozen')")


def active(page):
    return page.evaluate("document.activeElement.title")


def test_only_stages_are_shown_and_words_say_what_ticks_show(page):
    shown = ticks(page)
    assert list(shown) == ["stem", "layer1", "layer2", "layer3", "layer4"]
    assert shown["layer1"] == ("false", "frozen")
    assert shown["layer2"] == ("true", "learns")
    assert page.get_by_role("status").inner_text() == "11 M of 11.2 M parameters learn"


def test_one_toggle_is_one_message_and_ticks_follow(page):
    row(page, "layer2").locator(".nbt-box").click()
    assert frozen(page) == ["stem", "layer1", "layer2"]
    assert page.evaluate("window.saves") == 1
    row(page, "layer1").locator(".nbt-twisty").click()
    row(page, "layer1.0").locator(".nbt-box").click()
    assert ticks(page)["layer1"] == ("mixed", "partly")
    assert ticks(page)["layer1.0"] == ("true", "learns")
    assert frozen(page) == ["stem", "layer1.1", "layer2"]
    row(page, "layer1").locator(".nbt-box").click()  # mixed: the rest is frozen too
    assert frozen(page) == ["stem", "layer1", "layer2"]
    assert page.evaluate("window.saves") == 3


def test_keys_move_open_and_tick(page):
    row(page, "stem").focus()
    keys = page.keyboard
    keys.press("ArrowDown")
    keys.press("ArrowDown")
    assert active(page) == "layer2"
    keys.press("ArrowRight")
    assert row(page, "layer2").get_attribute("aria-expanded") == "true"
    keys.press("ArrowRight")
    assert active(page) == "layer2.0"
    keys.press(" ")
    assert frozen(page) == ["stem", "layer1", "layer2.0"]
    keys.press("ArrowLeft")
    assert active(page) == "layer2"
    keys.press("ArrowLeft")
    assert row(page, "layer2").get_attribute("aria-expanded") == "false"
    keys.press("End")
    assert active(page) == "layer4"
    keys.press("Home")
    assert active(page) == "stem"
    keys.press("*")
    assert all(row(page, s).get_attribute("aria-expanded") == "true" for s in ("stem", "layer1", "layer4"))
    page.keyboard.type("layer3")
    assert active(page) == "layer3"


def test_it_is_a_tree_with_one_tab_stop(page):
    assert page.locator("[role=tree]").get_attribute("aria-label")
    assert page.locator("[role=treeitem][tabindex='0']").count() == 1
    level = row(page, "layer2")
    assert [level.get_attribute(f"aria-{x}") for x in ("level", "posinset", "setsize", "expanded")] == ["1", "3", "5", "false"]
    assert row(page, "layer2.0.conv1").get_attribute("aria-expanded") is None
    page.get_by_label("Find a layer").focus()
    for _ in range(3):  # over the two buttons into the tree
        page.keyboard.press("Tab")
    assert active(page) == "stem"


def test_search_shows_what_fits_with_what_holds_it(page):
    page.get_by_label("Find a layer").fill("downsample")
    assert list(ticks(page))[:3] == ["layer2", "layer2.0", "layer2.0.downsample"]
    assert "layer1" not in ticks(page)
    page.get_by_label("Find a layer").fill("")
    assert len(ticks(page)) == 5


def test_keys_stay_in_the_widget(page):
    page.evaluate("window.keys = []; document.addEventListener('keydown', (event) => window.keys.push(event.key))")
    row(page, "stem").focus()
    for key in ("a", "b", "x", "d", "d", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert page.evaluate("window.keys") == []
    assert page.evaluate("document.activeElement.dataset.lmSuppressShortcuts") == "true"


@pytest.mark.parametrize("name", ["vit_b_32", "swin_t", "convnext_tiny", "densenet121"])
def test_browser_and_kernel_agree_on_the_fewest_nodes(render, name):
    """Every node ticked on its own; the browser's cover is the kernel's."""
    card = nt.backbone(name)
    page = render(LayerTree(name))
    nodes = tree(card)
    for node in nodes[:: max(1, len(nodes) // 25)]:
        page.evaluate("(ids) => window.model.set('frozen', ids)", [])
        page.evaluate("(id) => { const r = [...document.querySelectorAll('.nbt-row')].find((r) => r.title === id);"
                      " r.querySelector('.nbt-box').click(); }", node.id)  # fmt: skip
        assert frozen(page) == list(cover(card, node.layers)), node.id


def test_the_plan_ticked_is_the_plan_of_the_widget():
    widget = LayerTree("resnet18", nt.FreezePlan.all())
    widget.frozen = ["stem", "layer1", "layer2.0.bn1"]
    card = nt.backbone("resnet18")
    expected = {x.name for x in card.layers if x.stage in ("stem", "layer1")} | {"layer2.0.bn1"}
    assert frozen_in(card, widget.plan) == expected
    widget.plan = nt.FreezePlan.up_to(card, "layer3")
    assert widget.frozen == ["stem", "layer1", "layer2", "layer3"]
    assert repr(widget) == "LayerTree('resnet18', 8.39 M of 11.2 M shared parameters learn: layer4)"


def test_a_thousand_layers_are_one_short_message():
    widget = LayerTree("densenet201", nt.FreezePlan.all())
    assert len(str(widget.frozen)) < 100
