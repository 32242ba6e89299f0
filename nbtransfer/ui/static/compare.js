/** @import { ComparisonChoices, Explanation, RunTraits } from "./messages" */
/** @import { View } from "./types" */

import { drawn, field, fill, h, messageOf, problemLine, section, table } from "./dom.js";

const NARROW = 640; // pixels, below which the wide figure cannot be read

/**
 * What the shared layers and the head contributed, before and after: an image, a class, two snapshots.
 * @param {View<RunTraits>} view
 */
export function compare(view) {
  const { model, link } = view;
  const menus = comparisonMenus(show);
  const open = h("button", { type: "button", onclick: prepare }, "Compare before and after");
  const problem = problemLine();
  const busy = h("p.nbt-soft", { role: "status", "aria-live": "polite" });
  const picture = h("div.nbt-picture");
  const whole = section("Shared vs task-specific layers", open, menus.grid, busy, problem, picture);
  let newest = 0; // only the reply to the newest request is shown
  let shownRun = "";

  async function prepare() {
    const mine = ++newest;
    open.disabled = true;
    problem.textContent = "";
    try {
      const choices = await link.request("snapshots", {});
      if (mine !== newest) return; // another run is shown by now
      menus.offer(choices);
      open.hidden = true;
      menus.grid.hidden = false;
      show();
    } catch (error) {
      if (mine !== newest) return;
      problem.textContent = messageOf(error);
      open.disabled = false;
    }
  }

  async function show() {
    const mine = ++newest;
    problem.textContent = "";
    busy.textContent = "Computing in a separate process; the first picture takes a few seconds …";
    try {
      const found = await link.request("explain", { ...menus.chosen(), narrow: whole.clientWidth < NARROW });
      if (mine === newest) fill(picture, ...explanation(found));
    } catch (error) {
      if (mine !== newest) return;
      problem.textContent = messageOf(error);
      fill(picture);
    }
    if (mine === newest) busy.textContent = "";
  }

  function reset() {
    newest++; // what is still on its way belongs to the run before
    open.hidden = open.disabled = false;
    menus.grid.hidden = true;
    problem.textContent = busy.textContent = "";
    fill(picture);
  }

  view.watch("run", () => {
    const run = model.get("run");
    const id = "id" in run ? run.id : "";
    whole.hidden = !("id" in run && run.ended && run.best);
    if (shownRun !== id) reset();
    shownRun = id;
  });
  return whole;
}

/**
 * Menus for the image, the class and the two snapshots.
 * @param {() => void} onchange
 */
function comparisonMenus(onchange) {
  const menu = () => h("select", { onchange });
  const [image, target, before, after] = [menu(), menu(), menu(), menu()];
  /** @type {ComparisonChoices["images"]} */
  let images = [];

  /** @param {ComparisonChoices} choices */
  function offer(choices) {
    images = choices.images;
    fill(image, options(images.map(({ text }, i) => [String(i), text])));
    fill(target, options([["", "the predicted class"], ...choices.classes.map((name) => [name, name])]));
    fill(before, options(choices.before));
    fill(after, options(choices.after));
    after.value = "best";
  }

  const chosen = () => ({
    samples: [images[image.selectedIndex].sample],
    target: target.value || null,
    before: before.value,
    after: after.value,
  });

  const fields = [
    field("Image (mistakes first)", image),
    field("Evidence for", target),
    field("Before", before),
    field("After", after),
  ];
  return { grid: h("div.nbt-grid", { hidden: true }, ...fields), offer, chosen };
}

/** @param {string[][]} values */
const options = (values) => values.map(([value, text]) => h("option", { value }, text));

/** @param {Explanation} found */
const explanation = (found) => [
  drawn(found.svg, { role: "img", "aria-label": found.caption }),
  h("p.nbt-soft", {}, found.caption),
  h("details", {}, h("summary", {}, "Values as a table"), table(found.header, found.table)),
];
