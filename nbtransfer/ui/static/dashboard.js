import { layers, sharedLayers, training } from "./choices.js";
import { compare } from "./compare.js";
import { data } from "./data.js";
import { h } from "./dom.js";
import { viewOf } from "./link.js";
import { monitor, silence, trouble } from "./monitor.js";
import { result } from "./result.js";

export default {
  render({ model, el }) {
    const view = viewOf(model, el);
    el.append(
      silence(view),
      trouble(view),
      h(
        "div.nbt-dashboard",
        {},
        h("div.nbt-column", {}, data(view), sharedLayers(view), training(view)),
        h("div.nbt-column", {}, layers(view), monitor(view)),
        h("div.nbt-wide", {}, result(view), compare(view)),
      ),
    );
    return view.end;
  },
};
