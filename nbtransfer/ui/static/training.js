/** @import { Changes, DashboardTraits, PhaseChoice } from "./messages" */
/** @import { View } from "./types" */

import { chooser } from "./choose.js";
import { field, h, messageOf, NUMBER, problemLine, saying, section } from "./dom.js";
import { isLive, statusText } from "./status.js";
import { quantity } from "./text.js";

// How the next run trains, and the button that starts it.

/** @typedef {"epochs" | "lr" | "batch_size" | "image_size" | "crop" | "seed" | "device"} Field */

/** @type {Record<Field, string>} */
const LABELS = {
  epochs: "Epochs",
  lr: "Learning rate",
  batch_size: "Batch size",
  image_size: "Image size (px)",
  crop: "Crop (share of the image)",
  seed: "Seed",
  device: "Device",
};

/** @type {[Field, Record<string, unknown>][]} */
const INPUTS = [
  ["epochs", NUMBER],
  ["lr", { ...NUMBER, placeholder: "default" }],
  ["batch_size", NUMBER],
  ["image_size", { ...NUMBER, placeholder: "as pretrained" }],
  ["crop", { ...NUMBER, placeholder: "as pretrained" }],
  ["seed", NUMBER],
  ["device", { type: "text" }],
];

/** @type {Record<string, string>} */
const STRATEGIES = {
  lp: "lp: linear probe",
  last_stage: "last_stage: the last stage and the head",
  lp_ft: "lp_ft: linear probe, then fine-tuning",
  ft: "ft: fine-tuning",
  scratch: "scratch: a source task, from random weights",
};

/** @param {View<DashboardTraits>} view */
export function training(view) {
  const { model, link } = view;
  const problem = problemLine();
  const choose = chooser(link, problem, draw);
  const strategy = strategyMenu(model.get("options").strategy, (name) => choose({ strategy: name }));
  const inputs = INPUTS.map(([name, props]) => settingInput(name, props, choose));
  const augment = model
    .get("options")
    .augment.map((name) => h("input", { type: "checkbox", value: name, onchange: chooseAugment }));

  function chooseAugment() {
    choose({ augment: augment.filter((box) => box.checked).map((box) => box.value) });
  }

  function draw() {
    const settings = model.get("settings");
    showStrategy(strategy, settings.strategy);
    INPUTS.forEach(([name], i) => {
      inputs[i].value = String(settings[name] ?? "");
    });
    for (const box of augment) box.checked = settings.augment.includes(box.value);
  }

  view.watch("settings", draw);
  const labelled = inputs.map((input, i) => field(LABELS[INPUTS[i][0]], input));
  const boxes = augment.map((box) => h("label.nbt-check", {}, box, ` ${box.value}`));
  return section(
    "Training",
    field("Strategy", strategy),
    h("div.nbt-bar", {}, ...labelled.slice(0, 2)),
    phaseLine(view),
    h(
      "details",
      {},
      h("summary", {}, "More settings"),
      h("div.nbt-grid", {}, ...labelled.slice(2)),
      h("fieldset", {}, h("legend", {}, "Augmentation"), ...boxes),
    ),
    startBar(view, problem),
    problem,
  );
}

/**
 * @param {string[]} names
 * @param {(name: string) => void} choose
 */
function strategyMenu(names, choose) {
  const options = names.map((name) => h("option", { value: name }, STRATEGIES[name] ?? name));
  const menu = h("select", { onchange: () => choose(menu.value) }, options);
  return menu;
}

/**
 * @param {HTMLSelectElement} menu
 * @param {string} name
 */
function showStrategy(menu, name) {
  const known = [...menu.options].some((option) => option.value === name);
  if (!known) menu.append(h("option", { value: name }, `${name}: custom`));
  menu.value = name;
}

/**
 * @param {Field} name
 * @param {Record<string, unknown>} props
 * @param {(changes: Changes) => void} choose
 */
function settingInput(name, props, choose) {
  const input = h("input", { "data-name": name, ...props, onchange: () => choose({ [name]: input.value.trim() || null }) });
  return input;
}

/** @param {View<DashboardTraits>} view */
function phaseLine({ watch, model }) {
  const line = h("p.nbt-soft", { role: "status" });
  watch("phases", () => {
    line.textContent = model.get("phases").map(phaseText).join(". Then ");
  });
  return line;
}

/** @param {PhaseChoice} phase */
export const phaseText = ({ name, learns, epochs, lr, solver }) =>
  solver
    ? `${name}: only the head learns, fitted by ${solver} regression`
    : `${name}: ${learns}; ${quantity(epochs, "epoch")}, learning rate up to ${lr}`;

/**
 * @param {View<DashboardTraits>} view
 * @param {HTMLElement} problem
 */
function startBar({ model, link, watch, listen }, problem) {
  const start = h("button.nbt-start", { type: "button", onclick: press }, "Start");
  const undo = h("button", { type: "button", onclick: takeBack }, "Undo");
  const hint = h("span.nbt-soft");
  const nearby = h("span.nbt-soft.nbt-nearby"); // in a narrow page the run itself is far below

  async function press() {
    start.disabled = true;
    problem.textContent = "";
    try {
      await saying(hint, "Checking the recipe and starting the run …", link.request("start", {}));
    } catch (error) {
      problem.textContent = messageOf(error);
      update();
    }
  }

  async function takeBack() {
    try {
      await link.request("undo", {});
      problem.textContent = "";
    } catch (error) {
      problem.textContent = messageOf(error);
    }
  }

  function update() {
    undo.disabled = !model.get("past").undo;
    const run = model.get("run");
    const ready = "name" in model.get("task");
    start.disabled = isLive(run) || !ready;
    hint.textContent = ready ? "" : "Choose a target task first.";
    nearby.textContent = "id" in run ? statusText(run, link.series.progress) : "";
  }

  watch(["run", "task", "past"], update);
  listen("news", update);
  return h("div.nbt-bar", {}, start, undo, hint, nearby);
}
