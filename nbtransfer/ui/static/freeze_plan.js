/** @import { DashboardTraits } from "./messages" */
/** @import { View } from "./types" */

import { h, messageOf, problemLine, section } from "./dom.js";
import { isLive } from "./status.js";
import { layerTree } from "./tree.js";

/**
 * Which layers learn, in the next run or in the one that is shown.
 * @param {View<DashboardTraits>} view
 */
export function freezePlan(view) {
  const { model } = view;
  const head = () => {
    const task = model.get("task");
    const classes = "counts" in task ? Object.keys(task.counts).length : 0;
    return classes * (model.get("card").width + 1);
  };
  const title = h("p.nbt-soft");
  const dropped = h("p", { role: "status" });
  view.watch("past", () => {
    const text = `The plan of ${model.get("settings").strategy} has replaced yours; Undo brings yours back.`;
    dropped.textContent = model.get("past").dropped_plan ? text : "";
  });
  view.watch("phases", () => {
    const phases = model.get("phases");
    const when = phases.length > 1 ? ` in the last phase, ${phases[phases.length - 1].name}` : "";
    title.textContent = `Ticked layers learn${when}; the others stay frozen.`;
  });
  return section("Freeze plan", title, dropped, layerTree(view, { head, beside: ["task", "card"] }), ...applyButton(view));
}

/** @param {View<DashboardTraits>} view */
function applyButton(view) {
  const { model, link } = view;
  const failure = problemLine();
  const apply = h("button.nbt-apply", { type: "button", onclick: press }, "Apply to this run");

  async function press() {
    apply.disabled = true;
    failure.textContent = "";
    try {
      await link.request("replan", {});
    } catch (error) {
      failure.textContent = messageOf(error);
    }
    apply.disabled = false;
  }

  view.watch("run", () => {
    const run = model.get("run");
    apply.hidden = !("id" in run && isLive(run) && run.phase && run.backbone === model.get("card").name);
  });
  return [apply, failure];
}
