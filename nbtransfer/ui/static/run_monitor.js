/** @import { AnyWidget } from "@anywidget/types" */
/** @import { RunMonitorTraits } from "./messages" */

import { kernelAlert, viewProblem } from "./alerts.js";
import { monitor } from "./monitor.js";
import { result } from "./result.js";
import { openView } from "./view.js";

/** @type {AnyWidget<RunMonitorTraits>} */
export default {
  render({ model, el }) {
    const view = openView(model, el);
    el.append(kernelAlert(view), viewProblem(view), monitor(view), result(view));
    return view.end;
  },
};
