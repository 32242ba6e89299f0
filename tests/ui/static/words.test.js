import assert from "node:assert/strict";
import { test } from "node:test";
import { scoreText } from "../../../nbtransfer/ui/static/result.js";
import { phaseText } from "../../../nbtransfer/ui/static/training.js";
import { totalText } from "../../../nbtransfer/ui/static/tree.js";
import { Typed } from "../../../nbtransfer/ui/static/typed.js";

test("a phase says how it learns", () => {
  assert.equal(
    phaseText({ name: "ft", learns: "stage3 learns", epochs: 1, lr: 0.001, solver: null }),
    "ft: stage3 learns; 1 epoch, learning rate up to 0.001",
  );
  assert.equal(
    phaseText({ name: "lp", learns: "nothing", epochs: 9, lr: null, solver: "ridge" }),
    "lp: only the head learns, fitted by ridge regression",
  );
});

test("a score has its interval and its counts", () => {
  const score = { split: "val", accuracy: 0.5, interval: [0.3, 0.7], correct: 5, examples: 10 };
  assert.equal(scoreText(score), "val: accuracy 0.500 (95 % 0.300–0.700), 5 of 10 correct");
});

test("what learns counts the head where there is one", () => {
  assert.equal(totalText(11e6, 11.2e6, 0), "11 M of 11.2 M parameters learn");
  assert.equal(totalText(0, 2000, 500), "500 of 2.5 k parameters learn, 500 of them in the head");
});

test("letters typed quickly make a word, a pause begins anew", () => {
  const typed = new Typed();
  assert.deepEqual([typed.add("L", 1000), typed.add("a", 1600), typed.add("s", 3000)], ["l", "la", "s"]);
});
