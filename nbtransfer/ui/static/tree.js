/** @import { LayersTraits } from "./messages" */
/** @import { TreeNode, View } from "./types" */

import { fill, h } from "./dom.js";
import { checked, cover, frozenLeaves, grow, leavesFound, matches, stateText, toggled, without, withParents } from "./nodes.js";
import { shortNumber } from "./text.js";
import { Typed } from "./typed.js";

// Stages, modules and layers; a tick means "may learn". Follows the WAI-ARIA pattern of a tree with one tab stop.

/**
 * The tree of a widget's layers. `head` counts parameters that learn besides, and `beside` names the traits it depends on.
 * @template {LayersTraits} Traits
 * @param {View<Traits>} view
 * @param {{ head?: () => number, beside?: (keyof Traits & string)[] }} options
 */
export function layerTree(view, { head = () => 0, beside = [] } = {}) {
  const tree = new Tree(/** @type {View<any>} */ (view).model, head);
  view.watch("nodes", () => tree.build());
  view.watch(["frozen", "rates", ...beside], () => tree.update());
  return tree.element;
}

class Tree {
  #model;
  #head;
  /** @type {TreeNode[]} */
  #nodes = [];
  /** @type {Set<TreeNode>} */
  #frozen = new Set();
  /** @type {Set<TreeNode>} */
  #open = new Set();
  /** @type {TreeNode | null} */
  #active = null;
  /** @type {Map<TreeNode, HTMLElement>} */
  #rows = new Map();
  /** @type {WeakMap<Element, TreeNode>} */
  #nodeOf = new WeakMap();
  #typed = new Typed();

  #search = h("input", {
    type: "search",
    placeholder: "Find a layer",
    "aria-label": "Find a layer",
    oninput: () => this.#filter(),
  });
  #tree = h("div.nbt-tree", {
    role: "tree",
    "aria-label": "Shared layers; ticked ones learn",
    onkeydown: (event) => this.#onKey(event),
    onclick: (event) => this.#onClick(event),
  });
  #total = h("p.nbt-total", { role: "status", "aria-live": "polite" });
  #freeze = h("button", { type: "button", onclick: () => this.#freezeOnly([...this.#frozen, ...this.#found()]) });
  #thaw = h("button", { type: "button", onclick: () => this.#freezeOnly(without(this.#frozen, this.#found())) });

  /**
   * @param {View<LayersTraits>["model"]} model
   * @param {() => number} head
   */
  constructor(model, head) {
    this.#model = model;
    this.#head = head;
    const bar = h("div.nbt-bar", {}, this.#search, this.#freeze, this.#thaw);
    this.element = h("div.nbt-layers", {}, bar, this.#tree, this.#total);
  }

  build() {
    this.#nodes = grow(this.#model.get("nodes"));
    this.#open.clear();
    this.#rows = new Map(this.#nodes.map((node) => [node, this.#row(node)]));
    fill(this.#tree, [...this.#rows.values()]);
    this.#activate(this.#nodes[0] ?? null, false);
    this.#filter();
    this.update();
  }

  /** Draw what is ticked. */
  update() {
    this.#frozen = frozenLeaves(this.#nodes, this.#model.get("frozen"));
    const rates = this.#model.get("rates");
    let learning = 0;
    let all = 0;
    for (const [node, row] of this.#rows) {
      const state = checked(node, this.#frozen);
      row.setAttribute("aria-checked", state);
      if (row.lastChild) row.lastChild.textContent = stateText(node, this.#frozen, rates);
      if (!node.kind) continue;
      all += node.params;
      if (state === "true") learning += node.params;
    }
    this.#total.textContent = totalText(learning, all, this.#head());
  }

  #stages() {
    return this.#nodes.filter((node) => !node.parent);
  }

  /** @param {TreeNode} node */
  #siblings(node) {
    return node.parent?.children ?? this.#stages();
  }

  /** @param {TreeNode} node */
  #row(node) {
    const siblings = this.#siblings(node);
    const row = h(
      "div.nbt-row",
      {
        role: "treeitem",
        tabindex: -1,
        "aria-level": node.depth + 1,
        "aria-setsize": siblings.length,
        "aria-posinset": siblings.indexOf(node) + 1,
        style: `--depth:${node.depth}`,
        title: node.id,
      },
      h("span.nbt-twisty", { "aria-hidden": "true" }, node.children.length ? "▸" : ""),
      h("span.nbt-box", { "aria-hidden": "true" }),
      h("span.nbt-name", {}, node.label),
      h("span.nbt-kind", {}, node.kind),
      h("span.nbt-number", {}, shortNumber(node.params)),
      h("span.nbt-state", {}),
    );
    this.#nodeOf.set(row, node);
    return row;
  }

  /** Show what is open, or what fits the search. */
  #filter() {
    const text = this.#text();
    fill(this.#freeze, text ? "Freeze found" : "Freeze all");
    fill(this.#thaw, text ? "Thaw found" : "Thaw all");
    const wanted = matches(this.#nodes, text);
    for (const [node, row] of this.#rows) {
      const above = withParents(node).slice(1);
      row.hidden = text ? !wanted.has(node) : !above.every((parent) => this.#open.has(parent));
      if (!node.children.length) continue;
      const expanded = text ? node.children.some((child) => wanted.has(child)) : this.#open.has(node);
      row.setAttribute("aria-expanded", String(expanded));
    }
    if (this.#active && this.#rows.get(this.#active)?.hidden) this.#activate(this.#visible()[0] ?? null, false);
  }

  #text() {
    return this.#search.value.trim().toLowerCase();
  }

  /** The layers that the buttons act on: those that were searched for, or all. */
  #found() {
    return leavesFound(this.#nodes, this.#text());
  }

  #visible() {
    return this.#nodes.filter((node) => !this.#rows.get(node)?.hidden);
  }

  /**
   * Make a node the one tab stop.
   * @param {TreeNode | null} node
   */
  #activate(node, focus = true) {
    if (this.#active) this.#rows.get(this.#active)?.setAttribute("tabindex", "-1");
    this.#active = node;
    const row = node && this.#rows.get(node);
    row?.setAttribute("tabindex", "0");
    if (focus) row?.focus();
  }

  /** @param {TreeNode} node */
  #toggle(node) {
    this.#freezeOnly(toggled(node, this.#frozen));
  }

  /** @param {Iterable<TreeNode>} leaves */
  #freezeOnly(leaves) {
    this.#model.set("frozen", cover(this.#nodes, new Set(leaves)));
    this.#model.save_changes();
  }

  /**
   * @param {TreeNode} node
   * @param {boolean} open
   */
  #expand(node, open) {
    if (!node.children.length) return;
    if (open) this.#open.add(node);
    else this.#open.delete(node);
    this.#filter();
  }

  /** @param {MouseEvent} event */
  #onClick(event) {
    if (!(event.target instanceof Element)) return;
    const row = event.target.closest(".nbt-row");
    const node = row && this.#nodeOf.get(row);
    if (!node) return;
    this.#activate(node);
    const onBox = event.target.closest(".nbt-box");
    if (event.target.closest(".nbt-twisty") || (event.detail === 2 && !onBox)) this.#expand(node, !this.#open.has(node));
    else if (onBox) this.#toggle(node);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (!this.#active || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = this.#keys(this.#active)[event.key];
    if (act) act();
    else if (event.key.length === 1) this.#typeAhead(event.key, this.#active);
    else return;
    event.preventDefault();
  }

  /**
   * What keys do on a node.
   * @param {TreeNode} node
   * @returns {Record<string, () => void>}
   */
  #keys(node) {
    const list = this.#visible();
    const go = (/** @type {TreeNode | null | undefined} */ to) => to && this.#activate(to);
    const next = list[list.indexOf(node) + 1];
    const expanded = this.#rows.get(node)?.getAttribute("aria-expanded") === "true";
    return {
      ArrowDown: () => go(next),
      ArrowUp: () => go(list[list.indexOf(node) - 1]),
      ArrowRight: () => (expanded ? go(next) : this.#expand(node, true)),
      ArrowLeft: () => (expanded ? this.#expand(node, false) : go(node.parent)),
      Home: () => go(list[0]),
      End: () => go(list.at(-1)),
      " ": () => this.#toggle(node),
      Enter: () => this.#expand(node, !expanded),
      "*": () => {
        for (const sibling of this.#siblings(node)) this.#expand(sibling, true);
      },
    };
  }

  /**
   * Go to the next layer whose name begins with what is being typed.
   * @param {string} key
   * @param {TreeNode} node
   */
  #typeAhead(key, node) {
    const text = this.#typed.add(key, Date.now());
    const list = this.#visible();
    const from = list.indexOf(node) + (text.length > 1 ? 0 : 1);
    const order = [...list.slice(from), ...list.slice(0, from)];
    const found = order.find(({ label }) => label.toLowerCase().startsWith(text));
    if (found) this.#activate(found);
  }
}

/**
 * @param {number} learning
 * @param {number} all
 * @param {number} head
 */
export function totalText(learning, all, head) {
  const inHead = head ? `, ${shortNumber(head)} of them in the head` : "";
  return `${shortNumber(learning + head)} of ${shortNumber(all + head)} parameters learn${inHead}`;
}
