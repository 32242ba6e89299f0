import { viewOf } from "./link.js";
import { layerTree } from "./tree.js";

export default {
  render({ model, el }) {
    const view = viewOf(model, el);
    el.append(layerTree(view));
    return view.end;
  },
};
