/** @import { BackboneRow, DashboardTraits } from "./messages" */
/** @import { View } from "./types" */

import { chooser } from "./choose.js";
import { fill, h, problemLine, saying, section } from "./dom.js";
import { shortNumber } from "./text.js";

/**
 * The list of backbones, and the one that is chosen.
 * @param {View<DashboardTraits>} view
 */
export function sharedLayers(view) {
  const { model, link } = view;
  const problem = problemLine();
  const choose = chooser(link, problem, draw);
  const busy = h("p.nbt-soft", { role: "status" });
  const list = h("select", { size: 6, "aria-label": "Backbones", onchange: () => take(list.value) });
  const facts = h("p.nbt-soft");
  const count = h("span.nbt-soft", { role: "status" });
  const search = h("input", {
    type: "search",
    placeholder: "Search, or type timm/NAME and press Enter",
    "aria-label": "Find a backbone",
    oninput: draw,
    onkeydown: enter,
  });

  function draw() {
    const text = search.value.trim().toLowerCase();
    const rows = model.get("backbones").filter(([name]) => name.toLowerCase().includes(text));
    fill(list, rows.map(option));
    list.value = model.get("card").name;
    count.textContent = text ? `${rows.length} found` : "";
  }

  /** @param {KeyboardEvent} event */
  function enter(event) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    take(list.options.length === 1 ? list.options[0].value : search.value.trim());
  }

  /** @param {string} backbone */
  function take(backbone) {
    const first = backbone.startsWith("timm/") ? "; the first look-up of a timm model takes a few seconds" : "";
    saying(busy, `Looking up ${backbone}${first} …`, choose({ backbone }));
  }

  view.watch("backbones", draw);
  view.watch("card", () => {
    const { name, params, width, size, weights } = model.get("card");
    list.value = name;
    facts.textContent = `${name}: ${shortNumber(params)} shared parameters, ${width} features, ${size} px; ${weights}`;
  });
  return section("Shared layers", h("div.nbt-bar", {}, search, count), list, facts, busy, problem);
}

/** @param {BackboneRow} row */
function option([name, params, operations, size, top1]) {
  const facts = [name, `${params} parameters`, `${operations} MACs`, `${size} px`, top1 && `${top1} % top-1`];
  return h("option", { value: name }, facts.filter(Boolean).join(" · "));
}
