import { fill, h, scaled } from "./dom.js";

// Stages, modules and layers; a tick means "may learn". Follows the WAI-ARIA pattern of a tree with one tab stop.

/** The nodes with their parents, children and the layers below them, from rows [id, depth, label, kind, params]. */
export function grow(rows) {
  const nodes = [];
  const path = [];
  for (const [id, depth, label, kind, params] of rows) {
    const node = { id, depth, label, kind, params, parent: path[depth - 1] ?? null, children: [], leaves: [] };
    path.length = depth;
    path[depth] = node;
    node.parent?.children.push(node);
    if (kind) for (let at = node; at; at = at.parent) at.leaves.push(node);
    nodes.push(node);
  }
  return nodes;
}

/** The layers that the ids in `frozen` hold. */
export const frozenLeaves = (nodes, frozen) => {
  const ids = new Set(frozen);
  return new Set(nodes.filter((node) => ids.has(node.id)).flatMap((node) => node.leaves));
};

/** Ids of the fewest nodes that hold just these layers. */
export function cover(nodes, leaves) {
  const whole = (node) => node.leaves.every((leaf) => leaves.has(leaf));
  return nodes.filter((node) => whole(node) && !(node.parent && whole(node.parent))).map((node) => node.id);
}

/** "true" where all of a node may learn, "false" where none of it may, else "mixed". */
export function checked(node, leaves) {
  const frozen = node.leaves.filter((leaf) => leaves.has(leaf)).length;
  return frozen === 0 ? "true" : frozen === node.leaves.length ? "false" : "mixed";
}

/** `head` counts parameters that learn besides, and `beside` names the traits it depends on. */
export function layerTree(view, { head = () => 0, beside = [] } = {}) {
  const { model } = view;
  let nodes = [];
  let leaves = new Set();
  let active = null;
  let typed = { text: "", at: 0 };
  const open = new Set();
  const rows = new Map();

  const search = h("input", { type: "search", placeholder: "Find a layer", "aria-label": "Find a layer", oninput: () => filter() });
  const tree = h("div.nbt-tree", { role: "tree", "aria-label": "Shared layers; ticked ones may learn", onkeydown: pressed, onclick: clicked });
  const total = h("p.nbt-total", { role: "status", "aria-live": "polite" });

  function build() {
    nodes = grow(model.get("nodes"));
    rows.clear();
    open.clear();
    for (const node of nodes) rows.set(node, row(node));
    fill(tree, [...rows.values()]);
    activate(nodes[0] ?? null, false);
    filter();
    update();
  }

  function row(node) {
    const siblings = node.parent ? node.parent.children : nodes.filter((other) => !other.parent);
    const element = h(
      "div.nbt-row",
      {
        role: "treeitem", tabindex: -1, "aria-level": node.depth + 1, "aria-setsize": siblings.length,
        "aria-posinset": siblings.indexOf(node) + 1, style: `--depth:${node.depth}`, title: node.id,
      },
      h("span.nbt-twisty", { "aria-hidden": "true" }, node.children.length ? "▸" : ""),
      h("span.nbt-box", { "aria-hidden": "true" }),
      h("span.nbt-name", {}, node.label),
      h("span.nbt-kind", {}, node.kind || ""),
      h("span.nbt-number", {}, scaled(node.params)),
      h("span.nbt-state", {}),
    );
    element.node = node;
    return element;
  }

  /** Draw what is ticked. */
  function update() {
    leaves = frozenLeaves(nodes, model.get("frozen"));
    let learning = 0;
    let all = 0;
    for (const [node, element] of rows) {
      const state = checked(node, leaves);
      element.setAttribute("aria-checked", state);
      element.lastChild.textContent = { true: "learns", false: "frozen", mixed: "in part" }[state];
      if (!node.kind) continue;
      all += node.params;
      if (state === "true") learning += node.params;
    }
    const own = head();
    total.textContent = `${scaled(learning + own)} of ${scaled(all + own)} parameters learn` + (own ? `, ${scaled(own)} of them in the head` : "");
  }

  /** Show what is open, or what fits the search. */
  function filter() {
    const text = search.value.trim().toLowerCase();
    const wanted = new Set();
    if (text)
      for (const node of nodes)
        if (node.id.toLowerCase().includes(text)) for (let at = node; at; at = at.parent) wanted.add(at);
    for (const [node, element] of rows) {
      let shown = text ? wanted.has(node) : true;
      if (!text) for (let at = node.parent; at; at = at.parent) shown &&= open.has(at);
      element.hidden = !shown;
      if (node.children.length) {
        const expanded = text ? node.children.some((child) => wanted.has(child)) : open.has(node);
        element.setAttribute("aria-expanded", expanded);
      }
    }
    if (active && rows.get(active)?.hidden) activate(visible()[0] ?? null, false);
  }

  const visible = () => nodes.filter((node) => !rows.get(node).hidden);

  function activate(node, focus = true) {
    if (active) rows.get(active)?.setAttribute("tabindex", "-1");
    active = node;
    const element = node && rows.get(node);
    element?.setAttribute("tabindex", "0");
    if (focus) element?.focus();
  }

  function toggle(node) {
    const freeze = checked(node, leaves) !== "false";
    const changed = new Set(leaves);
    for (const leaf of node.leaves) freeze ? changed.add(leaf) : changed.delete(leaf);
    set(cover(nodes, changed));
  }

  function set(frozen) {
    model.set("frozen", frozen);
    model.save_changes();
  }

  function fold(node, wide) {
    if (!node.children.length) return;
    wide ? open.add(node) : open.delete(node);
    filter();
  }

  function clicked(event) {
    const node = event.target.closest(".nbt-row")?.node;
    if (!node) return;
    activate(node);
    if (event.target.closest(".nbt-twisty") || (event.detail === 2 && !event.target.closest(".nbt-box"))) fold(node, !open.has(node));
    else if (event.target.closest(".nbt-box")) toggle(node);
  }

  function pressed(event) {
    if (!active || event.ctrlKey || event.metaKey || event.altKey) return;
    const list = visible();
    const at = list.indexOf(active);
    const wide = rows.get(active).getAttribute("aria-expanded") === "true";
    const keys = {
      ArrowDown: () => activate(list[at + 1] ?? active),
      ArrowUp: () => activate(list[at - 1] ?? active),
      ArrowRight: () => (wide ? activate(list[at + 1]) : fold(active, true)),
      ArrowLeft: () => (wide ? fold(active, false) : active.parent && activate(active.parent)),
      Home: () => activate(list[0]),
      End: () => activate(list.at(-1)),
      " ": () => toggle(active),
      Enter: () => fold(active, !wide),
      "*": () => (active.parent?.children ?? nodes.filter((node) => !node.parent)).forEach((node) => fold(node, true)),
    };
    if (keys[event.key]) keys[event.key]();
    else if (event.key.length === 1) typeAhead(event.key, list, at);
    else return;
    event.preventDefault();
  }

  /** Go to the next layer whose name begins with what is being typed. */
  function typeAhead(key, list, at) {
    const now = Date.now();
    typed = { text: now - typed.at < 700 ? typed.text + key.toLowerCase() : key.toLowerCase(), at: now };
    const from = typed.text.length > 1 ? at : at + 1;
    const order = [...list.slice(from), ...list.slice(0, from)];
    const found = order.find((node) => node.label.toLowerCase().startsWith(typed.text));
    if (found) activate(found);
  }

  const stages = () => nodes.filter((node) => !node.parent);
  view.watch("nodes", build);
  view.watch(["frozen", ...beside], update);
  return h(
    "div.nbt-layers",
    {},
    h(
      "div.nbt-bar",
      {},
      search,
      h("button", { type: "button", onclick: () => set(stages().map((node) => node.id)) }, "Freeze all"),
      h("button", { type: "button", onclick: () => set([]) }, "Thaw all"),
    ),
    tree,
    total,
  );
}
