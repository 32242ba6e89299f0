/** @import { Empty, PhaseFacts, ProgressFacts, RunFacts } from "./messages" */

import { duration } from "./text.js";

// Where a run is, in words.

const LIVE = new Set(["created", "queued", "starting", "running", "paused", "stopping", "stalled"]);
const HALTED = new Set(["paused", "stopping", "stalled"]);

/** @type {Record<string, string>} */
const SENTENCES = {
  created: "Starting the worker.",
  starting: "The worker is loading PyTorch, the weights and the images.",
  stopping: "Stopping after the current step.",
};

/**
 * Whether a worker has the run in hand.
 * @param {RunFacts | Empty} run
 */
export const isLive = (run) => "id" in run && LIVE.has(run.status);

/**
 * Whether the run can be paused; otherwise it can be resumed.
 * @param {RunFacts | Empty} run
 */
export const canPause = (run) => "id" in run && isLive(run) && !HALTED.has(run.status);

/**
 * One sentence.
 * @param {RunFacts} run
 * @param {ProgressFacts | null} progress
 */
export function statusText(run, progress) {
  const phase = run.phases.find((one) => one.name === run.phase);
  if (run.ended) return endText(run);
  if (run.status !== "running" || !phase || !progress) return SENTENCES[run.status] ?? run.message;
  return positionText(run, phase, progress);
}

/** @param {RunFacts} run */
const endText = ({ verdict, seconds }) =>
  [verdict, seconds === null ? "" : `It took ${duration(seconds)}.`].filter(Boolean).join(". ");

/**
 * @param {RunFacts} run
 * @param {PhaseFacts} phase
 * @param {ProgressFacts} progress
 */
function positionText(run, phase, { epoch, left, computing }) {
  const rest = left === null ? "" : `, about ${duration(left)} left`;
  if (computing)
    return `Computing the activations of ${computing.layer} once: ${computing.done} of ${computing.of} views${rest}.`;
  const number = run.phases.length > 1 ? ` (phase ${run.phases.indexOf(phase) + 1} of ${run.phases.length})` : "";
  return `Epoch ${epoch} of ${run.epochs}; ${run.phase}${number}${rest}.`;
}
