/** @import { AnyWidget } from "@anywidget/types" */
/** @import { LayerTreeTraits } from "./messages" */

import { layerTree } from "./tree.js";
import { openView } from "./view.js";

/** @type {AnyWidget<LayerTreeTraits>} */
export default {
  render({ model, el }) {
    const view = openView(model, el);
    el.append(layerTree(view));
    return view.end;
  },
};
