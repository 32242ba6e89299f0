/** @import { AnyWidget } from "@anywidget/types" */
/** @import { DashboardTraits } from "./messages" */

import { kernelAlert, viewProblem } from "./alerts.js";
import { compare } from "./compare.js";
import { data } from "./data.js";
import { h } from "./dom.js";
import { freezePlan } from "./freeze_plan.js";
import { monitor } from "./monitor.js";
import { result } from "./result.js";
import { sharedLayers } from "./shared_layers.js";
import { training } from "./training.js";
import { openView } from "./view.js";

/** @type {AnyWidget<DashboardTraits>} */
export default {
  render({ model, el }) {
    const view = openView(model, el);
    el.append(
      kernelAlert(view),
      viewProblem(view),
      h(
        "div.nbt-dashboard",
        {},
        h("div.nbt-column", {}, data(view), sharedLayers(view), training(view)),
        h("div.nbt-column", {}, freezePlan(view), monitor(view)),
        h("div.nbt-wide", {}, result(view), compare(view)),
      ),
    );
    return view.end;
  },
};
