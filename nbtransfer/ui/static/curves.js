/** @import { EpochRow, Point, RunTraits } from "./messages" */
/** @import { Line, View } from "./types" */

import { chart } from "./chart.js";
import { fill, h, table } from "./dom.js";
import { score } from "./text.js";

// Loss and accuracy of a run. The same values stand in words below the charts, and in a table.

const HEADER = ["phase", "epoch", "loss", "accuracy", "val. loss", "val. accuracy (95 %)", "lr", ""];

/**
 * The newest values in one sentence.
 * @param {EpochRow[]} rows
 */
export function inWords(rows) {
  const last = rows.at(-1);
  if (!last) return "No epoch has finished yet.";
  const best = rows.findLast((row) => row.best);
  const now = `Epoch ${last.epoch}: loss ${last.loss ?? "not finite"}, validation accuracy ${score(last.val_accuracy)}.`;
  if (!best) return now;
  const [low, high] = best.val_interval.map(score);
  return `${now} Best: ${score(best.val_accuracy)} (95 % ${low}–${high}) in epoch ${best.epoch}.`;
}

/** @param {View<RunTraits>} view */
export function curves(view) {
  const { link, model } = view;
  const charts = h("div.nbt-charts");
  const words = h("p", { role: "status", "aria-live": "polite" });
  const values = h("div");
  const details = h("details", {}, h("summary", {}, "Values as a table"), values);

  view.listen("news", () => {
    const { points, rows } = link.series;
    const run = model.get("run");
    const epochs = Math.max("id" in run ? run.epochs : 0, rows.length);
    words.textContent = inWords(rows);
    fill(charts, points.length || rows.length ? [lossChart(points, rows, epochs), accuracyChart(rows, epochs)] : []);
    fill(values, table(HEADER, rows.map(cells)));
  });
  return h("div", {}, charts, words, details);
}

/**
 * @param {Point[]} points
 * @param {EpochRow[]} rows
 * @param {number} epochs
 */
function lossChart(points, rows, epochs) {
  const validation = { points: byEpoch(rows, "val_loss"), marks: marks(rows, "val_loss") };
  /** @type {Line[]} */
  const lines = [
    { name: "validation", kind: "val", ...validation },
    { name: "training", kind: "train", points: points.length ? points : byEpoch(rows, "loss") },
  ];
  return chart("Loss (nats) by epoch", lines, { range: [0], epochs });
}

/**
 * @param {EpochRow[]} rows
 * @param {number} epochs
 */
function accuracyChart(rows, epochs) {
  const validation = { points: byEpoch(rows, "val_accuracy"), marks: marks(rows, "val_accuracy") };
  /** @type {Line[]} */
  const lines = [
    { name: "validation (95 %)", kind: "val", ...validation },
    { name: "training", kind: "train", points: byEpoch(rows, "accuracy") },
  ];
  /** @type {[number, number, number][]} */
  const band = rows.map((row) => [row.epoch, row.val_interval[0], row.val_interval[1]]);
  return chart("Accuracy by epoch", lines, { band, range: [0, 1], epochs });
}

/** @typedef {"loss" | "accuracy" | "val_loss" | "val_accuracy"} Measure */

/**
 * @param {EpochRow[]} rows
 * @param {Measure} name
 * @returns {Point[]}
 */
const byEpoch = (rows, name) => rows.map((row) => [row.epoch, row[name]]);

/**
 * @param {EpochRow[]} rows
 * @param {Measure} name
 * @returns {[number, number | null, boolean][]}
 */
const marks = (rows, name) => rows.map((row) => [row.epoch, row[name], row.best]);

/** @param {EpochRow} row */
function cells(row) {
  const [loss, accuracy, valLoss, val] = [row.loss, row.accuracy, row.val_loss, row.val_accuracy].map(rounded);
  const interval = row.val_interval.map(rounded).join("–");
  return [row.phase, row.epoch, loss, accuracy, valLoss, `${val} (${interval})`, row.lr || "–", row.best ? "best" : ""];
}

/** @param {number | null} value */
const rounded = (value) => (value === null ? "–" : score(value));
