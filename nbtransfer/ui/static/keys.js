// Keys pressed in a widget must not act on the notebook: `d d` would delete the cell.

const MARK = "data-lm-suppress-shortcuts";

/**
 * Keep keys inside `el`. JupyterLab listens where a key bubbles up to. Notebook 7 listens before, and leaves alone an
 * element that carries its mark itself: a mark on an ancestor does not count. Keys with Ctrl or Cmd are let through: they
 * save the notebook or run the cell.
 * @param {HTMLElement} el
 */
export function keepKeys(el) {
  el.addEventListener("focusin", (event) => mark(event.target, true));
  el.addEventListener("keyup", (event) => mark(event.target, !isShortcut(event)));
  el.addEventListener("keydown", (event) => {
    mark(event.target, !isShortcut(event));
    if (!isShortcut(event)) event.stopPropagation();
  });
}

/** @param {KeyboardEvent} event */
const isShortcut = (event) => event.ctrlKey || event.metaKey;

/**
 * @param {EventTarget | null} target
 * @param {boolean} on
 */
function mark(target, on) {
  if (!(target instanceof Element)) return;
  if (on) target.setAttribute(MARK, "true");
  else target.removeAttribute(MARK);
}
