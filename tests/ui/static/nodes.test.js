/** @import { NodeRow } from "../../../nbtransfer/ui/static/messages" */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checked,
  cover,
  frozenLeaves,
  grow,
  leavesFound,
  matches,
  stateText,
  toggled,
  without,
} from "../../../nbtransfer/ui/static/nodes.js";

/** @type {NodeRow[]} */
const ROWS = [
  ["stem", 0, "stem", "", 10],
  ["stem.conv", 1, "conv", "Conv2d", 10],
  ["body", 0, "body", "", 60],
  ["body.0", 1, "0", "", 50],
  ["body.0.a", 2, "a", "Linear", 20],
  ["body.0.b", 2, "b", "Linear", 30],
  ["body.1", 1, "1", "Linear", 10],
];
const nodes = grow(ROWS);
const ids = (/** @type {Iterable<{ id: string }>} */ some) => [...some].map((node) => node.id);
const node = (/** @type {string} */ id) => nodes[nodes.findIndex((one) => one.id === id)];

test("rows become nodes that know what holds them and what they hold", () => {
  assert.deepEqual(ids(nodes), ids(ROWS.map(([id]) => ({ id }))));
  assert.equal(node("body.0.a").parent, node("body.0"));
  assert.equal(node("body").parent, null);
  assert.deepEqual(ids(node("body").children), ["body.0", "body.1"]);
  assert.deepEqual(ids(node("body").leaves), ["body.0.a", "body.0.b", "body.1"]);
  assert.deepEqual(ids(node("body.1").leaves), ["body.1"]);
});

test("no rows are no nodes", () => assert.deepEqual(grow([]), []));

test("the cover of any choice of layers is the fewest nodes that hold just these", () => {
  const leaves = nodes.filter((one) => one.kind);
  for (let bits = 0; bits < 2 ** leaves.length; bits++) {
    const frozen = new Set(leaves.filter((_, i) => bits & (1 << i)));
    const found = cover(nodes, frozen);
    assert.deepEqual(frozenLeaves(nodes, found), frozen);
    const inside = (/** @type {string} */ id) => found.some((other) => other !== id && node(other).leaves.includes(node(id)));
    assert.ok(!found.some(inside), `${found} names a layer twice`);
    const siblings = nodes.filter((one) => one.children.length && one.children.every((child) => found.includes(child.id)));
    assert.deepEqual(siblings, [], `${found} could be shorter`);
  }
});

test("a node is ticked, unticked or mixed by its layers", () => {
  const frozen = frozenLeaves(nodes, ["stem", "body.0.a"]);
  assert.deepEqual(
    ["stem", "body", "body.0", "body.0.b"].map((id) => checked(node(id), frozen)),
    ["false", "mixed", "mixed", "true"],
  );
});

test("a toggle freezes a mixed node as a whole, and thaws a frozen one", () => {
  const mixed = frozenLeaves(nodes, ["body.0.a"]);
  const frozen = toggled(node("body"), mixed);
  assert.deepEqual(cover(nodes, frozen), ["body"]);
  assert.deepEqual(cover(nodes, toggled(node("body.0"), frozen)), ["body.1"]);
  assert.deepEqual(ids(mixed), ["body.0.a"]); // not changed in place
});

test("a search finds nodes with all that hold them", () => {
  assert.deepEqual(new Set(ids(matches(nodes, "0.b"))), new Set(["body.0.b", "body.0", "body"]));
  assert.equal(matches(nodes, "").size, 0);
});

test("what was searched for can be frozen and thawed alone", () => {
  assert.deepEqual(ids(leavesFound(nodes, "0.b")), ["body.0.b"]);
  assert.deepEqual(ids(leavesFound(nodes, "body.0")), ["body.0.a", "body.0.b"]);
  assert.equal(leavesFound(nodes, "").size, nodes.filter((one) => one.kind).length);
  assert.deepEqual(ids(without(leavesFound(nodes, "body"), leavesFound(nodes, "0.a"))), ["body.0.b", "body.1"]);
});

test("a node says what becomes of it, and how fast it learns", () => {
  const frozen = new Set([node("body.0.a")]);
  assert.equal(stateText(node("stem"), frozen, {}), "learns");
  assert.equal(stateText(node("body.0.a"), frozen, { "body.0.a": 0.1 }), "frozen");
  assert.equal(stateText(node("body.0"), frozen, {}), "partly");
  assert.equal(stateText(node("body.1"), frozen, { "body.1": 0.1 }), "learns × 0.1");
  assert.equal(stateText(node("body"), new Set(), { "body.1": 0.1 }), "learns × …");
});
