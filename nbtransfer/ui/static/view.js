/** @import { AnyModel } from "@anywidget/types" */
/** @import { View } from "./types" */

import { keepKeys } from "./keys.js";
import { linkOf, send } from "./link.js";

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
