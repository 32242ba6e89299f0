/** @import { Request, ToPage } from "../../../nbtransfer/ui/static/messages" */

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { linkOf } from "../../../nbtransfer/ui/static/link.js";

/** A widget's model that records what is sent. */
function fakeModel() {
  /** @type {(message: ToPage) => void} */
  let listener = () => {};
  /** @type {Request[]} */
  const sent = [];
  const model = {
    on: (/** @type {string} */ _event, /** @type {typeof listener} */ listen) => {
      listener = listen;
    },
    send: (/** @type {Request} */ message) => sent.push(message),
  };
  return { model: /** @type {any} */ (model), sent, hear: (/** @type {ToPage} */ message) => listener(message) };
}

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 }));
afterEach(() => mock.timers.reset());

test("views of one model share a link", () => {
  const { model } = fakeModel();
  assert.equal(linkOf(model), linkOf(model));
});

test("a request is sent and its reply resolves it", async () => {
  const { model, sent, hear } = fakeModel();
  const started = linkOf(model).request("start", {});
  const [{ kind, id, op, args }] = sent;
  assert.deepEqual({ kind, op, args }, { kind: "request", op: "start", args: {} });
  hear({ kind: "reply", id: "another page's", ok: true, value: "no" });
  hear({ kind: "reply", id, ok: true, value: "run-1" });
  assert.equal(await started, "run-1");
});

test("a request that is refused rejects with the kernel's sentence", async () => {
  const { model, sent, hear } = fakeModel();
  const stopped = linkOf(model).request("stop", {});
  hear({ kind: "reply", id: sent[0].id, ok: false, error: "there is no run yet" });
  await assert.rejects(stopped, { message: "there is no run yet" });
});

test("a request without an ack is late until the ack comes", () => {
  const { model, sent, hear } = fakeModel();
  const link = linkOf(model);
  link.request("start", {});
  mock.timers.tick(2999);
  assert.equal(link.late, false);
  mock.timers.tick(1);
  assert.equal(link.late, true);
  hear({ kind: "ack", id: sent[0].id });
  assert.equal(link.late, false);
  link.request("stop", {});
  hear({ kind: "ack", id: sent[1].id });
  mock.timers.tick(10_000);
  assert.equal(link.late, false);
});

test("five missed beats are silence, the next one ends it", () => {
  const { model, hear } = fakeModel();
  const link = linkOf(model);
  /** @type {string[]} */
  const topics = [];
  const end = link.listen((topic) => topics.push(topic));
  for (let second = 0; second < 9; second++) mock.timers.tick(1000);
  assert.equal(link.silent, false);
  mock.timers.tick(1000);
  assert.equal(link.silent, true);
  hear({ kind: "beat" });
  assert.equal(link.silent, false);
  assert.deepEqual(topics, ["silence", "silence"]);
  end();
});

test("a page that was asleep does not take that for silence", () => {
  const { model } = fakeModel();
  const link = linkOf(model);
  const end = link.listen(() => {});
  mock.timers.tick(1000);
  mock.timers.setTime(1_600_000); // ten minutes later
  mock.timers.tick(1000);
  assert.equal(link.silent, false);
  end();
});

test("news are merged and announced to those who listen", () => {
  const { model, hear } = fakeModel();
  const link = linkOf(model);
  let times = 0;
  const end = link.listen(() => times++);
  const progress = { epoch: 1, fraction: 0.5, left: null, computing: null };
  hear({ kind: "news", progress, points_from: 0, points: [[0.5, 1]], rows_from: 0, rows: [] });
  assert.deepEqual(link.series.points, [[0.5, 1]]);
  end();
  hear({ kind: "news", progress, points_from: 1, points: [[1, 1]], rows_from: 0, rows: [] });
  assert.equal(times, 1);
});
