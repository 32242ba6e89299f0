/** @import { NodeRow } from "./messages" */
/** @import { TreeNode } from "./types" */

// The layer tree without its looks: nodes, and which of them are frozen.

/**
 * The nodes with their parents, children and the layers below them.
 * @param {NodeRow[]} rows
 */
export function grow(rows) {
  /** @type {TreeNode[]} */
  const nodes = [];
  /** @type {TreeNode[]} */
  const path = [];
  for (const [id, depth, label, kind, params] of rows) {
    /** @type {TreeNode} */
    const node = { id, depth, label, kind, params, parent: path[depth - 1] ?? null, children: [], leaves: [] };
    path.length = depth;
    path[depth] = node;
    node.parent?.children.push(node);
    if (kind) for (const at of withParents(node)) at.leaves.push(node);
    nodes.push(node);
  }
  return nodes;
}

/**
 * A node and all that hold it, from the inside out.
 * @param {TreeNode} node
 */
export function withParents(node) {
  const found = [];
  for (let at = /** @type {TreeNode | null} */ (node); at; at = at.parent) found.push(at);
  return found;
}

/**
 * The layers that the ids in `frozen` hold.
 * @param {TreeNode[]} nodes
 * @param {string[]} frozen
 */
export function frozenLeaves(nodes, frozen) {
  const ids = new Set(frozen);
  return new Set(nodes.filter((node) => ids.has(node.id)).flatMap((node) => node.leaves));
}

/**
 * Ids of the fewest nodes that hold just these layers.
 * @param {TreeNode[]} nodes
 * @param {Set<TreeNode>} leaves
 */
export function cover(nodes, leaves) {
  const whole = (/** @type {TreeNode} */ node) => node.leaves.every((leaf) => leaves.has(leaf));
  return nodes.filter((node) => whole(node) && !(node.parent && whole(node.parent))).map((node) => node.id);
}

/**
 * "true" where all of a node may learn, "false" where none of it may, else "mixed".
 * @param {TreeNode} node
 * @param {Set<TreeNode>} frozen
 */
export function checked(node, frozen) {
  const count = node.leaves.filter((leaf) => frozen.has(leaf)).length;
  return count === 0 ? "true" : count === node.leaves.length ? "false" : "mixed";
}

/**
 * The layers that are frozen once a node is ticked or unticked: one that learns, wholly or partly, is frozen as a whole.
 * @param {TreeNode} node
 * @param {Set<TreeNode>} frozen
 */
export function toggled(node, frozen) {
  const freeze = checked(node, frozen) !== "false";
  const changed = new Set(frozen);
  for (const leaf of node.leaves) {
    if (freeze) changed.add(leaf);
    else changed.delete(leaf);
  }
  return changed;
}

/**
 * What becomes of a node: "learns", "learns × 0.1", "frozen", "partly".
 * @param {TreeNode} node
 * @param {Set<TreeNode>} frozen
 * @param {Record<string, number>} rates
 */
export function stateText(node, frozen, rates) {
  const state = checked(node, frozen);
  if (state !== "true") return state === "false" ? "frozen" : "partly";
  const found = [...new Set(node.leaves.map((leaf) => rates[leaf.id] ?? 1))];
  if (found.length > 1) return "learns × …";
  return found[0] === 1 ? "learns" : `learns × ${found[0]}`;
}

/**
 * The layers of nodes whose id has the text in it; without a text, all.
 * @param {TreeNode[]} nodes
 * @param {string} text
 */
export const leavesFound = (nodes, text) =>
  new Set(nodes.filter((node) => node.id.toLowerCase().includes(text)).flatMap((node) => node.leaves));

/**
 * @param {Set<TreeNode>} leaves
 * @param {Set<TreeNode>} others
 */
export const without = (leaves, others) => [...leaves].filter((leaf) => !others.has(leaf));

/**
 * Nodes whose id has the text in it, and all that hold them; without a text, none.
 * @param {TreeNode[]} nodes
 * @param {string} text
 */
export function matches(nodes, text) {
  return new Set(text ? nodes.filter((node) => node.id.toLowerCase().includes(text)).flatMap(withParents) : []);
}
