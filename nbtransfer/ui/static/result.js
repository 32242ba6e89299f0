import { counted, fill, h, section, table } from "./dom.js";

// What came out: scores, confusion matrix, worst mistakes.

const score = ({ split, accuracy, interval, correct, examples }) =>
  `${split}: ${accuracy.toFixed(3)} (95 % ${interval.map((value) => value.toFixed(3)).join("–")}), ${correct} of ${examples} right`;

function confusion({ classes, confusion: counts, split }) {
  if (!counts) return h("p.nbt-soft", {}, `${classes.length} classes are too many for a confusion matrix; see the scores of each class.`);
  const row = (label, i) => {
    const sum = Math.max(1, counts[i].reduce((a, b) => a + b, 0));
    const cells = counts[i].map((n) => h("td.nbt-cell", { style: `--share:${(n / sum).toFixed(3)}` }, String(n)));
    return h("tr", {}, h("th", { scope: "row" }, label), cells);
  };
  return h(
    "table.nbt-confusion",
    {},
    h("caption", {}, `Rows are the true classes, columns the answers; ${split} images`),
    h("thead", {}, h("tr", {}, h("td"), classes.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, classes.map(row)),
  );
}

function mistakes({ mistakes: shown, wrong, split }) {
  if (!wrong) return h("p", {}, `No wrong answer on the ${split} images.`);
  const figure = ({ picture, said, source }) =>
    h("figure", {}, picture ? h("img", { src: picture, alt: source }) : null, h("figcaption", {}, said, h("br"), source));
  return h("div", {}, h("p", {}, `${counted(wrong, "wrong answer")} on the ${split} images; the worst first.`), h("div.nbt-images", {}, shown.map(figure)));
}

export function result(view) {
  const { model } = view;
  const body = h("div");
  const whole = section("Result", body);
  view.watch("result", () => {
    const found = model.get("result");
    whole.hidden = !found.scores;
    if (!found.scores) return;
    fill(
      body,
      found.scores.map((one) => h("p", {}, score(one))),
      h("div.nbt-side", {}, confusion(found), table(found.header, found.rows)),
      mistakes(found),
      h("p.nbt-soft", {}, found.receipt),
    );
  });
  return whole;
}
