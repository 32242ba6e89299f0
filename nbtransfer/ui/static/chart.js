import { fill, h, table } from "./dom.js";

// Two small line charts of a run. The same figures stand in words above and in a table below.

const SIZE = { width: 240, height: 150, left: 30, right: 6, top: 7, bottom: 20 };

/** Ends and steps of an axis: about `count` round numbers over low…high. */
export function ticks(low, high, count = 4) {
  const span = high - low || Math.abs(high) || 1;
  const raw = span / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((m) => m * power >= raw) * power;
  const first = Math.floor(low / step + 1e-9) * step;
  const last = Math.ceil(high / step - 1e-9) * step;
  const values = [];
  for (let i = 0; first + i * step <= last + step / 2; i++) values.push(Number((first + i * step).toPrecision(12)));
  return values;
}

/** A line through points; where a value is no number there is a gap. */
function path(points, x, y) {
  let pen = "M";
  return points
    .map(([a, b]) => {
      const step = b === null ? "" : `${pen}${x(a).toFixed(1)} ${y(b).toFixed(1)}`;
      pen = b === null ? "M" : "L";
      return step;
    })
    .join("");
}

/** One chart. `lines` are {name, kind, points, marks}, `band` is [[x, low, high]] around the first. */
function axes(title, lines, band, range, epochs) {
  const { width, height, left, right, top, bottom } = SIZE;
  const values = [...lines.flatMap((line) => line.points.map((point) => point[1])), ...(range ?? [])].filter(Number.isFinite);
  const yTicks = ticks(Math.min(...values), Math.max(...values));
  const xTicks = ticks(0, Math.max(epochs, 1)).filter((value) => Number.isInteger(value) && value <= epochs);
  const [low, high] = [yTicks[0], yTicks.at(-1)];
  const x = (value) => left + (value / Math.max(epochs, 1)) * (width - left - right);
  const y = (value) => height - bottom - ((value - low) / (high - low || 1)) * (height - top - bottom);
  const text = (at, props) => h("svg:text", props, String(at));
  const drawn = lines.flatMap((line) => [
    h(`svg:path.nbt-line.nbt-${line.kind}`, { d: path(line.points, x, y) }),
    ...(line.marks ?? []).filter((point) => point[1] !== null).map((point) => h(`svg:circle.nbt-mark.nbt-${line.kind}`, { cx: x(point[0]), cy: y(point[1]), r: point[2] ? 4 : 2.2 })),
  ]);
  const area = band.length > 1 ? path([...band.map((b) => [b[0], b[2]]), ...band.map((b) => [b[0], b[1]]).reverse()], x, y) + "Z" : "";
  return h(
    "figure.nbt-chart",
    {},
    h("figcaption", {}, title),
    h(
      "svg:svg",
      { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title },
      yTicks.map((value) => [
        h("svg:line", { x1: left, x2: width - right, y1: y(value), y2: y(value) }),
        text(value, { x: left - 6, y: y(value) + 4, "text-anchor": "end" }),
      ]).flat(),
      xTicks.map((value) => text(value, { x: x(value), y: height - 7, "text-anchor": value === epochs && value > 99 ? "end" : "middle" })),
      h("svg:path.nbt-band", { d: area }),
      drawn,
    ),
    h("figcaption", {}, lines.map((line) => h(`span.nbt-key.nbt-${line.kind}`, {}, line.name))),
  );
}

/** The newest figures in one sentence. */
export function inWords(rows) {
  const last = rows.at(-1);
  if (!last) return "No epoch has ended yet.";
  const best = rows.findLast((row) => row.best);
  const [low, high] = best.val_interval.map((value) => value.toFixed(3));
  return (
    `Epoch ${last.epoch}: loss ${last.loss ?? "no number"}, validation accuracy ${last.val_accuracy.toFixed(3)}. ` +
    `Best: ${best.val_accuracy.toFixed(3)} (95 % ${low}–${high}) in epoch ${best.epoch}.`
  );
}

export function curves(view) {
  const { link, model } = view;
  const charts = h("div.nbt-charts");
  const words = h("p", { role: "status", "aria-live": "polite" });
  const rows = h("div");
  const details = h("details", {}, h("summary", {}, "Figures as a table"), rows);

  function draw() {
    const { points, rows: epochs } = link.news;
    const planned = Math.max(model.get("run").epochs ?? 0, epochs.length);
    words.textContent = inWords(epochs);
    if (!points.length && !epochs.length) return void fill(charts);
    const at = (name) => epochs.map((row) => [row.epoch, row[name], row.best]);
    fill(
      charts,
      axes(
        "Loss (nats) by epoch",
        [
          { name: "validation", kind: "val", points: at("val_loss"), marks: at("val_loss") },
          { name: "training", kind: "train", points: points.length ? points : at("loss") },
        ],
        [], [0], planned,
      ),
      axes(
        "Accuracy by epoch",
        [
          { name: "validation (95 %)", kind: "val", points: at("val_accuracy"), marks: at("val_accuracy") },
          { name: "training", kind: "train", points: at("accuracy") },
        ],
        epochs.map((row) => [row.epoch, ...row.val_interval]), [0, 1], planned,
      ),
    );
    const f = (value) => (value === null ? "–" : value.toFixed(3));
    const cells = (row) => [
      row.phase, row.epoch, f(row.loss), f(row.accuracy), f(row.val_loss),
      `${f(row.val_accuracy)} (${row.val_interval.map(f).join("–")})`, row.lr || "–", row.best ? "best" : "",
    ];
    fill(rows, table(["phase", "epoch", "loss", "accuracy", "val. loss", "val. accuracy (95 %)", "lr", ""], epochs.map(cells)));
  }

  view.listen("news", draw);
  return h("div", {}, charts, words, details);
}
