/** @import { Changes } from "./messages" */
/** @import { Link } from "./types" */

import { messageOf } from "./dom.js";

/**
 * Sends changes of the draft; the kernel checks each at once, and says in one sentence what is wrong with it.
 * @param {Link} link
 * @param {HTMLElement} problem
 * @param {() => void} redraw
 */
export function chooser(link, problem, redraw) {
  return async (/** @type {Changes} */ changes) => {
    try {
      await link.request("choose", changes);
      problem.textContent = "";
    } catch (error) {
      problem.textContent = messageOf(error);
      redraw(); // what was refused does not stay on show
    }
  };
}
