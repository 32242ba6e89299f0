import { field, fill, h, scaled, section } from "./dom.js";
import { isLive } from "./monitor.js";
import { layerTree } from "./tree.js";

// Shared layers, what of them may learn, and how.

/** Sends one change; the kernel checks it at once and says in one sentence what is wrong with it. */
function chooser(view, problem, redraw) {
  return async (changes) => {
    try {
      await view.link.request("choose", changes);
      problem.textContent = "";
    } catch (error) {
      problem.textContent = error.message;
      redraw(); // what was refused does not stay on show
    }
  };
}

export function sharedLayers(view) {
  const { model } = view;
  const problem = h("p.nbt-problem", { role: "alert" });
  const choose = chooser(view, problem, draw);
  const search = h("input", { type: "search", placeholder: "Find, or type timm/NAME and Enter", "aria-label": "Find a backbone", oninput: draw, onkeydown: enter });
  const list = h("select", { size: 6, "aria-label": "Backbones", onchange: () => choose({ backbone: list.value }) });
  const facts = h("p.nbt-soft");
  const count = h("span.nbt-soft", { role: "status" });

  function draw() {
    const text = search.value.trim().toLowerCase();
    const rows = model.get("backbones").filter(([name]) => name.includes(text));
    const option = ([name, params, operations, size, top1]) =>
      h("option", { value: name }, `${name} · ${params} parameters · ${operations} multiply-adds · ${size} px${top1 ? ` · ${top1} %` : ""}`);
    fill(list, rows.map(option));
    list.value = model.get("card").name;
    count.textContent = text ? `${rows.length} found` : "";
  }

  function enter(event) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    choose({ backbone: list.options.length === 1 ? list.options[0].value : search.value.trim() });
  }

  view.watch("backbones", draw);
  view.watch("card", () => {
    const card = model.get("card");
    list.value = card.name;
    facts.textContent = `${card.name}: ${scaled(card.params)} shared parameters, ${card.width} features, ${card.size} px; ${card.weights}`;
  });
  return section("Shared layers", h("div.nbt-bar", {}, search, count), list, facts, problem);
}

export function layers(view) {
  const { model, link } = view;
  const head = () => {
    const classes = Object.keys(model.get("task").counts ?? {}).length;
    return classes * (model.get("card").width + 1);
  };
  const tree = layerTree(view, { head, beside: ["task", "card"] });
  const title = h("p.nbt-soft");
  view.watch("phases", () => {
    const phases = model.get("phases");
    title.textContent = phases.length > 1 ? `Ticked layers learn in the last phase, ${phases.at(-1).name}.` : "Ticked layers learn.";
  });
  const failure = h("p.nbt-problem", { role: "alert" });
  const apply = h("button.nbt-apply", { type: "button", onclick: press }, "Change the running run");

  function press() {
    apply.disabled = true;
    failure.textContent = "";
    link.request("replan").catch((error) => (failure.textContent = error.message)).finally(() => (apply.disabled = false));
  }

  view.watch("run", () => {
    const run = model.get("run");
    apply.hidden = !isLive(run) || run.backbone !== model.get("card").name || !run.phase;
  });
  return section("What may learn", title, tree, apply, failure);
}

const how = ({ name, epochs, lr, solver }) =>
  solver ? `${name}: solved by ${solver} regression` : `${name}: ${epochs} epochs, learning rate up to ${lr}`;

const NAMES = {
  strategy: "Strategy", epochs: "Epochs", lr: "Learning rate", batch_size: "Images in a step", image_size: "Image size (px)",
  crop: "Share of the image kept", seed: "Seed", device: "Device",
};
const MEANINGS = {
  lp: "lp: only the head learns", last_stage: "last_stage: the last stage and the head learn",
  lp_ft: "lp_ft: first the head, then everything", ft: "ft: everything learns",
};

export function training(view) {
  const { model, link } = view;
  const problem = h("p.nbt-problem", { role: "alert" });
  const choose = chooser(view, problem, draw);
  const phases = h("p.nbt-soft", { role: "status" });
  const hint = h("span.nbt-soft");
  const start = h("button.nbt-start", { type: "button", onclick: press }, "Start");
  const strategy = h("select", { onchange: () => choose({ strategy: strategy.value }) },
    model.get("options").strategy.map((name) => h("option", { value: name }, MEANINGS[name] ?? name)));
  const number = (name, props) => h("input", { type: "number", "data-name": name, onchange: changed, ...props });
  const inputs = [
    number("epochs", { min: 1, step: 1 }),
    number("lr", { min: 0, step: "any", placeholder: "default" }),
    number("batch_size", { min: 2, step: 1 }),
    number("image_size", { min: 8, step: 1, placeholder: "as trained" }),
    number("crop", { min: 0.05, max: 1, step: 0.05, placeholder: "as trained" }),
    number("seed", { min: 0, step: 1 }),
    h("input", { type: "text", "data-name": "device", onchange: changed }),
  ];
  const augment = model.get("options").augment.map((name) => h("input", { type: "checkbox", value: name, onchange: augmented }));

  function changed(event) {
    const { name } = event.target.dataset;
    if (event.target.validity.badInput) {
      problem.textContent = `${NAMES[name]} is no number; write one such as 10 or 0.001.`;
      return;
    }
    const text = event.target.value.trim();
    const value = text === "" ? null : event.target.type === "number" ? Number(text) : text;
    choose({ [name]: value });
  }

  function augmented() {
    choose({ augment: augment.filter((box) => box.checked).map((box) => box.value) });
  }

  async function press() {
    start.disabled = true;
    problem.textContent = "";
    try {
      await link.request("start");
    } catch (error) {
      problem.textContent = error.message;
      startable();
    }
  }

  function startable() {
    const live = isLive(model.get("run"));
    start.disabled = live || !model.get("task").name;
    hint.textContent = live ? "a run is going on" : model.get("task").name ? "" : "choose a target task first";
  }

  function draw() {
    const settings = model.get("settings");
    const known = [...strategy.options].some((option) => option.value === settings.strategy);
    if (!known) strategy.append(h("option", { value: settings.strategy }, `${settings.strategy}: your own`));
    strategy.value = settings.strategy;
    for (const input of inputs) input.value = settings[input.dataset.name] ?? "";
    for (const box of augment) box.checked = settings.augment.includes(box.value);
  }

  view.watch("settings", draw);
  view.watch(["run", "task"], startable);
  view.watch("phases", () => {
    const said = model.get("phases").map(how);
    phases.textContent = said.join("; then ");
  });
  const labelled = (input) => field(NAMES[input.dataset.name], input);
  return section(
    "Training",
    field(NAMES.strategy, strategy),
    h("div.nbt-bar", {}, inputs.slice(0, 2).map(labelled)),
    phases,
    h("details", {}, h("summary", {}, "More settings"), h("div.nbt-grid", {}, inputs.slice(2).map(labelled)),
      h("fieldset", {}, h("legend", {}, "Vary training images"), augment.map((box) => h("label.nbt-check", {}, box, ` ${box.value}`)))),
    h("div.nbt-bar", {}, start, hint),
    problem,
  );
}
