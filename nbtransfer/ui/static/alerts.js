/** @import { RunTraits, WidgetTraits } from "./messages" */
/** @import { View } from "./types" */

import { fill, h, problemLine } from "./dom.js";

/**
 * Says so when the kernel is silent or acknowledges no request, and how to go on.
 * @param {View<RunTraits>} view
 */
export function kernelAlert(view) {
  const { link, model } = view;
  const box = h("div.nbt-alert", { role: "alert", hidden: true });
  view.listen("silence", () => {
    box.hidden = !link.silent && !link.late;
    if (link.silent) fill(box, ...silenceAdvice(model.get("run")));
    // Kernels before ipykernel 7 take no requests while a cell runs; and JupyterLab may lose its line to a kernel that died.
    else
      fill(
        box,
        "The kernel has not responded yet. If a cell is running, it will respond when that ends; otherwise, reload this page.",
      );
  });
  return box;
}

/** @param {RunTraits["run"]} run */
function silenceAdvice(run) {
  const shown = "id" in run;
  const code = `%load_ext nbtransfer\n${shown ? `%transfer attach ${run.id}` : "%transfer"}`;
  const copy = h("button", { type: "button", onclick: () => copyText(code, copy) }, "Copy");
  const advice = shown
    ? "If it was restarted, this view is disconnected but the run goes on; to see it again, run this in a cell."
    : "If it was restarted, run this in a cell.";
  return [h("strong", {}, "The kernel is not responding. "), advice, h("pre", {}, code), copy];
}

/**
 * @param {string} text
 * @param {HTMLButtonElement} button
 */
async function copyText(text, button) {
  await navigator.clipboard.writeText(text);
  fill(button, "Copied");
}

/**
 * Says what is wrong with the view itself.
 * @param {View<WidgetTraits>} view
 */
export function viewProblem(view) {
  const line = problemLine();
  view.watch("problem", () => {
    line.textContent = view.model.get("problem");
  });
  return line;
}
