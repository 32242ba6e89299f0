/** @import { AnyModel } from "@anywidget/types" */
/** @import { Link, View } from "./types" */

import { keepKeys } from "./keys.js";
import { linkOf, send } from "./link.js";

const TOUCH = 10_000; // often enough for a kernel that waits for two minutes without one
let lastView = 0;

/**
 * Opens a view of a widget in `el`.
 * @template {object} Traits
 * @param {AnyModel<Traits>} model
 * @param {HTMLElement} el
 * @returns {View<Traits>}
 */
export function openView(model, el) {
  const link = linkOf(model);
  const id = `${Date.now()}-${++lastView}`;
  /** @type {(() => void)[]} */
  const undo = [];
  el.classList.add("nbt");
  keepKeys(el);
  touchOn(el, link);
  link.restart();
  send(model, { kind: "hello", view: id });
  return {
    model,
    link,
    watch(names, draw) {
      for (const name of [names].flat()) {
        model.on(`change:${name}`, draw);
        undo.push(() => model.off(`change:${name}`, draw));
      }
      draw();
    },
    listen(topic, draw) {
      undo.push(link.listen((changed) => changed === topic && draw()));
      draw();
    },
    end() {
      for (const step of undo) step();
      send(model, { kind: "bye", view: id });
    },
  };
}

/**
 * Tells the kernel now and then that somebody is at work here; only where it matters, after a run has ended.
 * @param {HTMLElement} el
 * @param {Link} link
 */
function touchOn(el, link) {
  let last = 0;
  const touch = () => {
    if (!link.ended || Date.now() - last < TOUCH) return;
    last = Date.now();
    link.request("touch", {}).catch(() => {}); // without it the report comes earlier, which is no harm
  };
  for (const kind of ["pointerdown", "pointermove", "keydown"]) el.addEventListener(kind, touch);
}
