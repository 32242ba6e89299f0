import { counted, field, fill, h, section, table } from "./dom.js";

// The target task: where its images are, how many of each class, and some of them.

export function data(view) {
  const { model, link } = view;
  const source = h("input", { type: "text", placeholder: "folder/with/one/folder/per/class or demo:textile", spellcheck: "false" });
  const holdout = h("input", { type: "number", min: 0.05, max: 0.9, step: 0.05, ".value": "0.2" });
  const test = h("input", { type: "number", min: 0, max: 0.9, step: 0.05, ".value": "0" });
  const perClass = h("input", { type: "number", min: 2, step: 1, placeholder: "all" });
  const skip = h("input", { type: "checkbox" });
  const load = h("button", { type: "submit" }, "Look at it");
  const problem = h("pre.nbt-problem", { role: "alert" });
  const shown = h("div");

  function options() {
    const given = { holdout: Number(holdout.value), test: Number(test.value) };
    if (perClass.value) given.per_class = Number(perClass.value);
    return skip.checked ? { ...given, unreadable: "skip", duplicates: "skip" } : given;
  }

  async function submit(event) {
    event.preventDefault();
    problem.textContent = "";
    if (!source.value.trim()) return void (problem.textContent = "Give a folder that holds one folder of images for each class.");
    load.disabled = true;
    fill(load, "Reading …");
    try {
      await link.request("data", { source: source.value.trim(), ...options() });
    } catch (error) {
      problem.textContent = error.message;
    }
    load.disabled = false;
    fill(load, "Look at it");
  }

  const form = h(
    "form.nbt-form", { onsubmit: submit },
    field("Labelled images", source),
    h("div.nbt-bar", {}, field("Share to validate on", holdout), field("Share to test with", test), field("Images of each class", perClass),
      h("label.nbt-check", {}, skip, " leave out what cannot be used"), load),
  );
  const change = h("details", {}, h("summary", {}, "Choose other images"), form);

  view.watch("task", () => {
    const task = model.get("task");
    change.open = !task.name;
    if (!task.name) return void fill(shown);
    const names = Object.keys(task.counts);
    const strip = (name) => h("div.nbt-thumbs", {}, (task.pictures[name] ?? []).map((url) => h("img", { src: url, alt: "" })));
    fill(
      shown,
      h("p", {}, task.summary),
      table(
        ["class", ...task.splits, "some of them"],
        names.slice(0, 50).map((name) => [name, ...task.splits.map((split) => task.counts[name][split]), strip(name)]),
      ),
      names.length > 50 ? h("p.nbt-soft", {}, `and ${counted(names.length - 50, "more class")}`) : null,
      h("ul.nbt-notes", {}, task.notes.map((note) => h("li", {}, note))),
    );
  });
  return section("Target task", shown, change, problem);
}
