/** @import { RunFacts, RunTraits } from "./messages" */
/** @import { View } from "./types" */

import { curves } from "./curves.js";
import { fill, h, messageOf, problemLine, section } from "./dom.js";
import { canPause, isLive, statusText } from "./status.js";
import { shortNumber } from "./text.js";

/**
 * A run while it goes on.
 * @param {View<RunTraits>} view
 */
export function monitor(view) {
  const { model, link } = view;
  const bar = h("progress", { max: 1, "aria-label": "Progress of the run" });
  const position = h("p"); // changes all the time; each epoch is announced by the curves
  const facts = h("p.nbt-soft");
  const caveats = h("ul.nbt-caveats", { "aria-label": "What to know before you trust the score" });
  const notes = h("ul.nbt-notes");
  const { status, buttons, failure, update } = controls(view);
  const whole = section(
    "Run",
    h("div.nbt-bar", {}, status, bar, ...buttons),
    position,
    failure,
    caveats,
    curves(view),
    facts,
    notes,
    log(view),
  );

  function draw() {
    const run = model.get("run");
    const shown = "id" in run;
    whole.hidden = !shown;
    if (!shown) return;
    bar.hidden = run.ended;
    update();
    move();
    facts.textContent = factsText(run);
    caveats.hidden = !run.caveats.length;
    fill(
      caveats,
      run.caveats.map((caveat) => h("li", {}, caveat)),
    );
    fill(
      notes,
      run.notes.map((note) => h("li", {}, note)),
    );
  }

  function move() {
    const run = model.get("run");
    const { progress } = link.series;
    if (progress && "id" in run && run.phases.length) bar.value = progress.fraction;
    else bar.removeAttribute("value"); // busy, and nobody knows for how long
    position.textContent = "id" in run ? statusText(run, progress) : "";
  }

  view.watch("run", draw);
  view.listen("news", move);
  return whole;
}

/**
 * The status, and buttons to pause, resume and stop.
 * @param {View<RunTraits>} view
 */
function controls({ model, link }) {
  const status = h("strong.nbt-status");
  const failure = problemLine();
  const pause = h("button.nbt-pause", {
    type: "button",
    onclick: () => press(canPause(model.get("run")) ? "pause" : "resume"),
  });
  const stop = h("button.nbt-stop", { type: "button", onclick: () => press("stop") }, "Stop");

  /** @param {"pause" | "resume" | "stop"} op */
  async function press(op) {
    pause.disabled = stop.disabled = true;
    failure.textContent = "";
    try {
      await link.request(op, {});
    } catch (error) {
      failure.textContent = messageOf(error);
    }
    update();
  }

  function update() {
    const run = model.get("run");
    if (!("id" in run)) return;
    status.textContent = run.status;
    status.dataset.status = run.status;
    stop.hidden = !isLive(run);
    stop.disabled = run.status === "stopping";
    pause.textContent = canPause(run) ? "Pause" : "Resume";
    pause.hidden = run.status === "finished" || run.status === "created";
    pause.disabled = false;
  }

  return { status, buttons: [pause, stop], failure, update };
}

/**
 * The last lines of the worker's log, open where they say what went wrong.
 * @param {View<RunTraits>} view
 */
function log(view) {
  const { model } = view;
  const lines = h("pre.nbt-log", { tabindex: 0, "aria-label": "Last lines of the log" });
  const details = h("details", {}, h("summary", {}, "Log"), lines);
  view.watch("log", () => {
    const run = model.get("run");
    lines.textContent = model.get("log");
    details.hidden = !lines.textContent;
    if ("id" in run && ["failed", "lost"].includes(run.status)) details.open = true;
    lines.scrollTop = lines.scrollHeight;
  });
  return details;
}

/** @param {RunFacts} run */
function factsText({ id, recipe, phases, total, device }) {
  const learning = phases.map(
    (phase) => `${phase.name}: ${shortNumber(phase.trainable)} of ${shortNumber(total)} parameters learn`,
  );
  return [`${id}: ${recipe}`, ...learning, device].filter(Boolean).join(" · ");
}
