import assert from "node:assert/strict";
import { test } from "node:test";
import { path, ticks } from "../../../nbtransfer/ui/static/chart.js";

test("ticks are round numbers around the range", () => {
  assert.deepEqual(ticks(0, 1), [0, 0.5, 1]);
  assert.deepEqual(ticks(0, 10), [0, 5, 10]);
  assert.deepEqual(ticks(0.12, 0.31), [0.1, 0.15, 0.2, 0.25, 0.3, 0.35]);
  assert.deepEqual(ticks(-1.2, 2.3), [-2, -1, 0, 1, 2, 3]);
});

test("ticks of a range without width still make an axis", () => {
  assert.deepEqual(ticks(0, 0), [0]);
  assert.ok(ticks(0.7, 0.7).some((value) => value <= 0.7));
});

test("ticks hold the range, in equal steps and without noise in the last digits", () => {
  for (let i = 1; i <= 500; i++) {
    const low = ((i * 7919) % 13) - 6.5;
    const high = low + 10 ** ((i % 9) - 4) * (1 + (i % 7));
    const values = ticks(low, high);
    const step = values[1] - values[0];
    assert.ok(values[0] <= low + step * 1e-6 && values[values.length - 1] >= high - step * 1e-6, `${low}…${high}: ${values}`);
    assert.ok(values.length >= 2 && values.length <= 7, `${low}…${high}: ${values}`);
    for (const [a, b] of values.slice(1).map((value, n) => [values[n], value])) assert.ok(Math.abs(b - a - step) < step * 1e-6);
  }
});

test("a value that is not finite is a gap in the line", () => {
  const same = (/** @type {number} */ value) => value;
  const points = /** @type {[number, number | null][]} */ ([
    [0, 1],
    [1, 2],
    [2, null],
    [3, 4],
  ]);
  assert.equal(path(points, same, same), "M0.0 1.0L1.0 2.0M3.0 4.0");
  assert.equal(path([], same, same), "");
});
