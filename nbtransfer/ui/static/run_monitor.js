import { viewOf } from "./link.js";
import { monitor, silence, trouble } from "./monitor.js";
import { result } from "./result.js";

export default {
  render({ model, el }) {
    const view = viewOf(model, el);
    el.append(silence(view), trouble(view), monitor(view), result(view));
    return view.end;
  },
};
