/** @import { BackboneQuery, DashboardTraits, NamedChoice } from "./messages" */
/** @import { View } from "./types" */

import { chooser } from "./choose.js";
import { field, fill, h, messageOf, NUMBER, problemLine, saying, section } from "./dom.js";
import { shortNumber } from "./text.js";

const PAUSE = 200; // milliseconds without a key, after which somebody has typed what they look for

/**
 * The list of backbones, and the one that is chosen.
 * @param {View<DashboardTraits>} view
 */
export function sharedLayers(view) {
  const { model, link } = view;
  const problem = problemLine();
  const choose = chooser(link, problem, () => show(shown));
  const busy = h("p.nbt-soft", { role: "status" });
  const list = h("select", { size: 6, "aria-label": "Backbones", onchange: () => take(list.value) });
  const facts = h("p.nbt-soft");
  const count = h("span.nbt-soft", { role: "status" });
  const asked = searchForm(typed, enter);
  /** @type {NamedChoice[]} */
  let shown = [];
  let newest = 0; // only the reply to the newest query is shown
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /** @param {NamedChoice[]} rows */
  function show(rows) {
    shown = rows;
    fill(
      list,
      rows.map(([value, text]) => h("option", { value }, text)),
    );
    list.value = model.get("card").name;
  }

  function typed() {
    newest++; // a reply on its way belongs to what was typed before
    count.textContent = "";
    const words = asked.query().text.toLowerCase().split(/\s+/);
    // What is known here comes at once, also from a kernel that is busy.
    show(model.get("backbones").filter(([name]) => words.every((word) => name.toLowerCase().includes(word))));
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE);
  }

  async function look() {
    const mine = ++newest;
    try {
      const found = await link.request("find", asked.query());
      if (mine !== newest) return;
      problem.textContent = "";
      show(found.rows);
      const all = found.count.toLocaleString("en");
      count.textContent = found.count > found.rows.length ? `the first ${found.rows.length} of ${all}` : `${all} found`;
    } catch (error) {
      if (mine === newest) problem.textContent = messageOf(error);
    }
  }

  function enter() {
    take(list.options.length === 1 ? list.options[0].value : asked.query().text.trim());
  }

  /** @param {string} backbone */
  function take(backbone) {
    const first = backbone.includes("/") ? "; the first look-up of a model takes seconds to minutes" : "";
    saying(busy, `Looking up ${backbone}${first} …`, choose({ backbone }));
  }

  view.watch("backbones", () => show(model.get("backbones")));
  view.watch("card", () => {
    const { name, params, width, size, weights } = model.get("card");
    list.value = name;
    facts.textContent = `${name}: ${shortNumber(params)} shared parameters, ${width} features, ${size} px; ${weights}`;
  });
  return section("Shared layers", h("div.nbt-bar", {}, asked.text, count), asked.limits, list, facts, busy, problem);
}

/**
 * What to look for: parts of a name, and limits.
 * @param {() => void} oninput
 * @param {() => void} onenter
 */
function searchForm(oninput, onenter) {
  const text = h("input", {
    type: "search",
    placeholder: "Search, such as dinov2 small",
    "aria-label": "Find a backbone",
    oninput,
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      onenter();
    },
  });
  const number = () => h("input", { ...NUMBER, oninput });
  const [params, operations, size] = [number(), number(), number()];
  const licence = h("input", { type: "text", autocomplete: "off", placeholder: "such as apache", oninput });
  const downloaded = h("input", { type: "checkbox", oninput });
  const limits = h(
    "details",
    {},
    h("summary", {}, "Limits"),
    h(
      "div.nbt-grid",
      {},
      field("Max parameters (M)", params),
      field("Max multiply-adds (G)", operations),
      field("Max image size (px)", size),
      field("Licence of the weights", licence),
    ),
    h("label.nbt-check", {}, downloaded, " Weights are on this machine"),
  );
  /** @returns {BackboneQuery} */
  const query = () => ({
    text: text.value,
    max_params: params.value,
    max_multiply_adds: operations.value,
    max_size: size.value,
    licence: licence.value,
    downloaded: downloaded.checked,
  });
  return { text, limits, query };
}
