/** @import { EpochRow, News } from "../../../nbtransfer/ui/static/messages" */

import assert from "node:assert/strict";
import { test } from "node:test";
import { inWords } from "../../../nbtransfer/ui/static/curves.js";
import { merged, NOTHING } from "../../../nbtransfer/ui/static/series.js";

/** @returns {EpochRow} */
const row = (/** @type {number} */ epoch, /** @type {Partial<EpochRow>} */ rest = {}) => ({
  phase: "ft",
  epoch,
  step: 4 * epoch,
  loss: 1 / epoch,
  accuracy: 0.4,
  val_loss: 1,
  val_accuracy: 0.5,
  val_interval: [0.3, 0.7],
  lr: 0.001,
  seconds: 2,
  best: false,
  ...rest,
});

/** @returns {News} */
const news = (/** @type {Partial<News>} */ rest) => ({
  kind: "news",
  progress: { epoch: 1, fraction: 0.1, left: null, computing: null },
  points_from: 0,
  points: [],
  rows_from: 0,
  rows: [],
  ...rest,
});

test("news add to what is known", () => {
  const first = merged(NOTHING, news({ points: [[0.5, 2]], rows: [row(1)] }));
  const second = merged(first, news({ points_from: 1, points: [[1, 1]], rows_from: 1, rows: [row(2)] }));
  assert.deepEqual(second.points, [
    [0.5, 2],
    [1, 1],
  ]);
  assert.deepEqual(second.rows, [row(1), row(2)]);
  assert.equal(first.points.length, 1); // not changed in place
});

test("news replace what was taken back, as after a resume", () => {
  const before = merged(
    NOTHING,
    news({
      points: [
        [0.5, 3],
        [1, 2],
        [1.5, 1],
      ],
      rows: [row(1), row(2)],
    }),
  );
  const after = merged(before, news({ points_from: 1, points: [[0.9, 5]], rows_from: 1 }));
  assert.deepEqual(after.points, [
    [0.5, 3],
    [0.9, 5],
  ]);
  assert.deepEqual(after.rows, [row(1)]);
});

test("the newest and the best epoch are told in words", () => {
  assert.equal(inWords([]), "No epoch has finished yet.");
  assert.equal(
    inWords([row(1, { best: true }), row(2, { loss: null, val_accuracy: 0.4 })]),
    "Epoch 2: loss not finite, validation accuracy 0.400. Best: 0.500 (95 % 0.300–0.700) in epoch 1.",
  );
});
