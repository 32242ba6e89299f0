/** @import { DashboardTraits, DataSource, TaskFacts } from "./messages" */
/** @import { Link, View } from "./types" */

import { field, fill, h, messageOf, NUMBER, section, table } from "./dom.js";
import { quantity } from "./text.js";

/**
 * The target task: where its images are, how many of each class, and some of them.
 * @param {View<DashboardTraits>} view
 */
export function data(view) {
  const { model, link } = view;
  const problem = h("pre.nbt-problem", { role: "alert" });
  const shown = h("div");
  const change = h("details", {}, h("summary", {}, "Choose images"), sourceForm(link, problem));
  view.watch("task", () => {
    const task = model.get("task");
    const known = "name" in task;
    change.open = !known;
    fill(shown, known ? summary(task) : []);
  });
  return section("Target task", shown, change, problem);
}

/**
 * @param {Link} link
 * @param {HTMLElement} problem
 */
function sourceForm(link, problem) {
  const source = h("input", { type: "text", placeholder: "path/to/folder or demo:textile", spellcheck: "false" });
  const { options, fields } = splitFields();
  const load = h("button", { type: "submit" }, "Load");

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    problem.textContent = "";
    if (!source.value.trim()) {
      problem.textContent = "Enter a folder that has one subfolder of images per class.";
      return;
    }
    load.disabled = true;
    fill(load, "Loading …");
    try {
      await link.request("data", { source: source.value.trim(), ...options() });
    } catch (error) {
      problem.textContent = messageOf(error);
    }
    load.disabled = false;
    fill(load, "Load");
  }

  return h(
    "form.nbt-form",
    { onsubmit: submit },
    field("Labelled images (one subfolder per class)", source),
    h("div.nbt-bar", {}, ...fields, load),
  );
}

/** How the images are split, and what is left out. */
function splitFields() {
  const holdout = h("input", { ...NUMBER, ".value": "0.2" });
  const test = h("input", { ...NUMBER, ".value": "0" });
  const perClass = h("input", { ...NUMBER, placeholder: "all" });
  const skip = h("input", { type: "checkbox" });

  /** @returns {Omit<DataSource, "source">} */
  function options() {
    return {
      holdout: holdout.value,
      test: test.value,
      ...(perClass.value.trim() ? { per_class: perClass.value } : {}),
      ...(skip.checked ? { unreadable: "skip", duplicates: "skip" } : {}),
    };
  }

  const fields = [
    field("Validation share", holdout),
    field("Test share", test),
    field("Images per class", perClass),
    h("label.nbt-check", {}, skip, " Skip unreadable images and duplicates"),
  ];
  return { options, fields };
}

/** @param {TaskFacts} task */
function summary(task) {
  const more = Object.keys(task.counts).length - Object.keys(task.pictures).length;
  const rows = Object.entries(task.pictures).map(([name, urls]) => {
    const thumbs = urls.map((url) => h("img", { src: url, alt: "" }));
    return [name, ...task.splits.map((split) => task.counts[name][split]), h("div.nbt-thumbs", {}, thumbs)];
  });
  return [
    h("p", {}, task.summary),
    table(["class", ...task.splits, "examples"], rows),
    more > 0 ? h("p.nbt-soft", {}, `and ${quantity(more, "more class", "more classes")}`) : null,
    h("ul.nbt-notes", {}, ...task.notes.map((note) => h("li", {}, note))),
  ];
}
