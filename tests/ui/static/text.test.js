import assert from "node:assert/strict";
import { test } from "node:test";
import { duration, quantity, score, shortNumber } from "../../../nbtransfer/ui/static/text.js";

test("large counts have three figures and a unit", () => {
  assert.deepEqual([0, 950, 1540, 11_180_000, 1_810_000_000].map(shortNumber), ["0", "950", "1.54 k", "11.2 M", "1.81 G"]);
});

test("durations have at most two units", () => {
  assert.deepEqual([0.4, 8, 59.6, 75, 7500].map(duration), ["0 s", "8 s", "1 min 00 s", "1 min 15 s", "2 h 05 min"]);
});

test("one of a thing is singular", () => {
  assert.deepEqual(
    [quantity(1, "mistake"), quantity(0, "mistake"), quantity(1200, "mistake")],
    ["1 mistake", "0 mistakes", "1,200 mistakes"],
  );
  assert.deepEqual(
    [1, 2].map((n) => quantity(n, "more class", "more classes")),
    ["1 more class", "2 more classes"],
  );
});

test("a score is rounded as the kernel rounds it", () => {
  const found = [0.8125, 0.1875, 0.0625, 0.9375, 0.0125, 0.81249, 1, 0].map(score);
  assert.deepEqual(found, ["0.812", "0.188", "0.062", "0.938", "0.013", "0.812", "1.000", "0.000"]);
});
