import { curves } from "./chart.js";
import { duration, fill, h, scaled, section } from "./dom.js";

// A run while it goes on.

const LIVE = new Set(["created", "queued", "starting", "running", "paused", "stopping", "stalled"]);

const HALTED = new Set(["paused", "stopping", "stalled"]);

/** Whether somebody is at work on the run shown. */
export const isLive = (run) => LIVE.has(run.status);

/** Says so when the kernel has not been heard for a while or takes no requests, and how to go on. */
export function silence(view) {
  const { link, model } = view;
  const said = h("div.nbt-alert", { role: "alert", hidden: true });
  view.listen("silence", () => {
    said.hidden = !link.silent && !link.late;
    if (!link.silent) {
      // Kernels before ipykernel 7 take no requests while a cell runs; and JupyterLab may lose its line to a kernel that died.
      fill(said, "The kernel has not taken this yet. If a cell is running, it will when that ends; if none is, reload this page.");
      return;
    }
    const id = model.get("run")?.id;
    const code = id ? `%load_ext nbtransfer\n%transfer attach ${id}` : "%load_ext nbtransfer\n%transfer";
    const copy = h("button", { type: "button", onclick: () => navigator.clipboard.writeText(code).then(() => fill(copy, "Copied")) }, "Copy");
    fill(
      said,
      h("strong", {}, "No word from the kernel. "),
      id ? "If it was restarted, this view is cut off, but the run is not: run this in a cell to see it again." : "If it was restarted, run this in a cell.",
      h("pre", {}, code),
      copy,
    );
  });
  return said;
}

/** Says what is wrong with the view itself. */
export function trouble(view) {
  const said = h("p.nbt-problem", { role: "alert" });
  view.watch("problem", () => (said.textContent = view.model.get("problem")));
  return said;
}

const SENTENCES = {
  created: "The worker is being started.",
  starting: "The worker loads its framework, the weights and the images.",
  stopping: "Stopping after the present step.",
};

function where(run, { epoch, left, computing }) {
  const phase = run.phases.find((one) => one.name === run.phase);
  if (run.ended) return [run.message, run.seconds === null ? "" : `It took ${duration(run.seconds)}.`].filter(Boolean).join(". ");
  if (run.status !== "running" || !phase) return SENTENCES[run.status] ?? run.message;
  if (computing) {
    const soon = left == null ? "" : `, about ${duration(left)} left`;
    return `Computing what leaves ${computing.layer}, once: ${computing.done} of ${computing.of} views${soon}.`;
  }
  const rest = left == null ? "" : `, about ${duration(left)} left`;
  const number = run.phases.length > 1 ? ` (phase ${run.phases.indexOf(phase) + 1} of ${run.phases.length})` : "";
  return `Epoch ${epoch} of ${run.epochs}; ${run.phase}${number}${rest}.`;
}

export function monitor(view) {
  const { model, link } = view;
  const status = h("strong.nbt-status");
  const bar = h("progress", { max: 1, "aria-label": "Progress of the run" });
  const place = h("p"); // changes all the time; each epoch is announced by the curves
  const facts = h("p.nbt-soft");
  const notes = h("ul.nbt-notes");
  const failure = h("p.nbt-problem", { role: "alert" });
  const log = h("pre.nbt-log", { tabindex: 0, "aria-label": "Last lines of the log" });
  const logged = h("details", {}, h("summary", {}, "Log"), log);
  const stop = h("button.nbt-stop", { type: "button", onclick: () => press("stop") }, "Stop");
  const pause = h("button.nbt-pause", { type: "button", onclick: () => press(pausing() ? "pause" : "resume") }, "Pause");
  const buttons = [pause, stop];

  /** Whether there is something to pause; else there is something to go on with. */
  const pausing = () => isLive(model.get("run")) && !HALTED.has(model.get("run").status);

  function press(op) {
    for (const button of buttons) button.disabled = true;
    failure.textContent = "";
    link.request(op).catch((error) => (failure.textContent = error.message)).finally(draw);
  }

  function draw() {
    const run = model.get("run");
    link.ended = Boolean(run.ended);
    whole.hidden = !run.id;
    if (!run.id) return;
    status.textContent = run.status;
    status.dataset.status = run.status;
    bar.hidden = run.ended;
    move();
    stop.hidden = !isLive(run);
    stop.disabled = run.status === "stopping";
    pause.textContent = pausing() ? "Pause" : "Resume";
    pause.hidden = run.status === "finished" || run.status === "created";
    pause.disabled = false;
    const learning = run.phases.map((phase) => `${phase.name}: ${scaled(phase.trainable)} of ${scaled(run.total)} parameters learn`);
    facts.textContent = [`${run.id}: ${run.recipe}`, ...learning, run.device].filter(Boolean).join(" · ");
    fill(notes, run.notes.map((note) => h("li", {}, note)));
  }

  function move() {
    const run = model.get("run");
    bar.value = link.news.progress.fraction ?? 0;
    place.textContent = run.id ? where(run, link.news.progress) : "";
  }

  const whole = section("Run", h("div.nbt-bar", {}, status, bar, pause, stop), place, failure, curves(view), facts, notes, logged);
  view.watch("run", draw);
  view.listen("news", move);
  view.watch("log", () => {
    const text = model.get("log");
    logged.hidden = !text;
    log.textContent = text;
    if (model.get("run").status === "failed" || model.get("run").status === "lost") logged.open = true;
    log.scrollTop = log.scrollHeight;
  });
  return whole;
}
