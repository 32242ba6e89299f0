import { field, fill, h, section, table } from "./dom.js";

// What the shared layers and the head contributed, before and after: an image, a class, two moments.

const BY_MODEL = "what the model answers";

export function compare(view) {
  const { model, link } = view;
  let choices = null;
  const pick = () => h("select", { onchange: () => show() });
  const [image, target, before, after] = [pick(), pick(), pick(), pick()];
  const open = h("button", { type: "button", onclick: prepare }, "Compare before and after");
  const problem = h("p.nbt-problem", { role: "alert" });
  const busy = h("p.nbt-soft", { role: "status", "aria-live": "polite" });
  const picture = h("div.nbt-picture");
  const controls = h("div.nbt-grid", { hidden: true }, field("Image, mistakes first", image), field("Evidence for", target), field("Before", before), field("After", after));
  const whole = section("Shared against task-specific", open, controls, busy, problem, picture);
  let asked = 0;

  async function prepare() {
    const mine = ++asked;
    open.disabled = true;
    problem.textContent = "";
    let found;
    try {
      found = await link.request("moments");
    } catch (error) {
      problem.textContent = error.message;
      open.disabled = false;
      return;
    }
    if (mine !== asked) return; // another run is shown by now
    choices = found;
    const options = (values) => values.map(([value, text]) => h("option", { value }, text));
    fill(image, options(choices.images.map((one, i) => [i, one.text])));
    fill(target, options([["", BY_MODEL], ...choices.classes.map((name) => [name, name])]));
    fill(before, options(choices.before));
    fill(after, options(choices.after));
    after.value = "best";
    open.hidden = true;
    controls.hidden = false;
    show();
  }

  async function show() {
    const mine = ++asked;
    problem.textContent = "";
    busy.textContent = "Computing in a process of its own; the first picture takes some seconds …";
    try {
      const found = await link.request("explain", {
        samples: [choices.images[image.selectedIndex].sample],
        target: target.value || null,
        before: before.value,
        after: after.value,
        ink: isDark(whole) ? "white" : "black",
      });
      if (mine === asked) draw(found);
    } catch (error) {
      if (mine !== asked) return;
      problem.textContent = error.message;
      fill(picture);
    }
    if (mine === asked) busy.textContent = "";
  }

  function draw(found) {
    fill(
      picture,
      h("img", { src: `data:image/png;base64,${found.png}`, alt: found.caption }),
      h("p.nbt-soft", {}, found.caption),
      h("details", {}, h("summary", {}, "Figures as a table"), table(found.header, found.table)),
    );
  }

  view.watch("run", () => {
    const run = model.get("run");
    whole.hidden = !(run.ended && run.best);
    if (whole.dataset.run === run.id) return;
    whole.dataset.run = run.id ?? "";
    asked++; // what is still on its way belongs to the run before
    choices = null;
    open.hidden = open.disabled = false;
    controls.hidden = true;
    problem.textContent = busy.textContent = "";
    fill(picture);
  });
  return whole;
}

/** Whether text here is light on dark: that is what a picture has to fit, whatever names the theme goes by. */
function isDark(element) {
  const [r, g, b] = getComputedStyle(element).color.match(/[\d.]+/g).map(Number);
  return 0.299 * r + 0.587 * g + 0.114 * b > 128;
}
