/** @import { ProgressFacts, RunFacts } from "../../../nbtransfer/ui/static/messages" */

import assert from "node:assert/strict";
import { test } from "node:test";
import { canPause, isLive, statusText } from "../../../nbtransfer/ui/static/status.js";

const phase = { epochs: 4, lr: 0.001, trainable: 10, summary: "", solver: null };

/** @type {RunFacts} */
const RUN = {
  id: "r",
  status: "running",
  ended: false,
  message: "",
  verdict: "",
  caveats: [],
  backbone: "resnet18",
  recipe: "",
  phase: "ft",
  phases: [
    { name: "lp", ...phase },
    { name: "ft", ...phase },
  ],
  total: 20,
  device: "cpu",
  epochs: 8,
  seconds: null,
  best: true,
  notes: [],
};

/** @type {ProgressFacts} */
const PROGRESS = { epoch: 5, fraction: 0.5, left: 75, computing: null };

test("a run at work says where it is and how long it still takes", () => {
  assert.equal(statusText(RUN, PROGRESS), "Epoch 5 of 8; ft (phase 2 of 2), about 1 min 15 s left.");
  assert.equal(statusText({ ...RUN, phases: RUN.phases.slice(1) }, { ...PROGRESS, left: null }), "Epoch 5 of 8; ft.");
  const computing = { layer: "layer3", done: 120, of: 900 };
  assert.equal(
    statusText(RUN, { ...PROGRESS, left: 3, computing }),
    "Computing the activations of layer3 once: 120 of 900 views, about 3 s left.",
  );
});

test("a run that is not at work says why", () => {
  assert.equal(statusText({ ...RUN, status: "created" }, null), "Starting the worker.");
  assert.equal(statusText({ ...RUN, status: "paused", message: "as you asked" }, PROGRESS), "as you asked");
  assert.equal(
    statusText({ ...RUN, status: "finished", ended: true, verdict: "accurate", seconds: 65 }, PROGRESS),
    "accurate. It took 1 min 05 s.",
  );
  assert.equal(statusText({ ...RUN, status: "lost", ended: true, verdict: "lost (gone)" }, null), "lost (gone)");
});

test("only a live run is paused, only a halted one resumed", () => {
  const of = (/** @type {string} */ status) => [isLive({ ...RUN, status }), canPause({ ...RUN, status })];
  assert.deepEqual(of("running"), [true, true]);
  assert.deepEqual(of("paused"), [true, false]);
  assert.deepEqual(of("lost"), [false, false]);
  assert.equal(isLive({}), false);
});
