/** @import { Point } from "./messages" */
/** @import { Line } from "./types" */

import { h } from "./dom.js";

// A small line chart as SVG.

const SIZE = { width: 240, height: 150, left: 30, right: 6, top: 7, bottom: 20 };

/**
 * Ends and steps of an axis: about `count` round numbers over low…high.
 * @param {number} low
 * @param {number} high
 */
export function ticks(low, high, count = 4) {
  const span = high - low || Math.abs(high) || 1;
  const raw = span / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5].find((m) => m * power >= raw) ?? 10) * power;
  const first = Math.floor(low / step + 1e-9) * step;
  const last = Math.ceil(high / step - 1e-9) * step;
  const values = [];
  for (let i = 0; first + i * step <= last + step / 2; i++) values.push(Number((first + i * step).toPrecision(12)));
  return values;
}

/**
 * The path of an SVG line through points; a value of null is a gap.
 * @param {Point[]} points
 * @param {(value: number) => number} x
 * @param {(value: number) => number} y
 */
export function path(points, x, y) {
  let pen = "M";
  return points
    .map(([a, b]) => {
      const step = b === null ? "" : `${pen}${x(a).toFixed(1)} ${y(b).toFixed(1)}`;
      pen = b === null ? "M" : "L";
      return step;
    })
    .join("");
}

/**
 * One chart over epochs, with a band [x, low, high] around the first line; `range` is within the vertical axis.
 * @param {string} title
 * @param {Line[]} lines
 * @param {{ band?: [number, number, number][], range: number[], epochs: number }} options
 */
export function chart(title, lines, { band = [], range, epochs }) {
  const { width, height } = SIZE;
  const scale = scales(lines, range, epochs);
  return h(
    "figure.nbt-chart",
    {},
    h("figcaption", {}, title),
    h(
      "svg:svg",
      { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title },
      axes(scale, epochs),
      h("svg:path.nbt-band", { d: area(band, scale) }),
      lines.flatMap((line) => strokes(line, scale)),
    ),
    h("figcaption", {}, ...lines.map((line) => h(`span.nbt-key.nbt-${line.kind}`, {}, line.name))),
  );
}

/** @typedef {{ x: (value: number) => number, y: (value: number) => number, xTicks: number[], yTicks: number[] }} Scale */

/**
 * @param {Line[]} lines
 * @param {number[]} range
 * @param {number} epochs
 * @returns {Scale}
 */
function scales(lines, range, epochs) {
  const { width, height, left, right, top, bottom } = SIZE;
  const values = [...lines.flatMap((line) => line.points.map(([, value]) => value)), ...range].filter(
    (value) => value !== null,
  );
  const yTicks = ticks(Math.min(...values), Math.max(...values));
  const [low, high] = [yTicks[0], yTicks[yTicks.length - 1]];
  const end = Math.max(epochs, 1);
  return {
    x: (value) => left + (value / end) * (width - left - right),
    y: (value) => height - bottom - ((value - low) / (high - low || 1)) * (height - top - bottom),
    xTicks: ticks(0, end).filter((value) => Number.isInteger(value) && value <= epochs),
    yTicks,
  };
}

/**
 * @param {Scale} scale
 * @param {number} epochs
 */
function axes({ x, y, xTicks, yTicks }, epochs) {
  const { width, height, left, right } = SIZE;
  const anchor = (/** @type {number} */ value) => (value === epochs && value > 99 ? "end" : "middle");
  return [
    ...yTicks.map((value) => h("svg:line", { x1: left, x2: width - right, y1: y(value), y2: y(value) })),
    ...yTicks.map((value) => h("svg:text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, String(value))),
    ...xTicks.map((value) => h("svg:text", { x: x(value), y: height - 7, "text-anchor": anchor(value) }, String(value))),
  ];
}

/**
 * @param {[number, number, number][]} band
 * @param {Scale} scale
 */
function area(band, { x, y }) {
  if (band.length < 2) return "";
  /** @type {Point[]} */
  const upper = band.map(([at, , high]) => [at, high]);
  /** @type {Point[]} */
  const lower = band.map(([at, low]) => [at, low]);
  return `${path([...upper, ...lower.reverse()], x, y)}Z`;
}

/**
 * @param {Line} line
 * @param {Scale} scale
 */
function strokes({ kind, points, marks = [] }, { x, y }) {
  const dots = marks.flatMap(([at, value, large]) =>
    value === null ? [] : [h(`svg:circle.nbt-mark.nbt-${kind}`, { cx: x(at), cy: y(value), r: large ? 4 : 2.2 })],
  );
  return [h(`svg:path.nbt-line.nbt-${kind}`, { d: path(points, x, y) }), ...dots];
}
