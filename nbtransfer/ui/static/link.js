// What a view and its kernel say to each other, beside the traits.

const links = new WeakMap();
let lastView = 0;

const SILENCE = 10_000; // the kernel beats every 2 s; five missed beats mean that something is wrong
const KEEP_KEYS = "data-lm-suppress-shortcuts";
const PATIENCE = 3_000; // a request is taken at once where the kernel can take it

/** The link of a widget's model; views of one model share it. */
export function linkOf(model) {
  if (!links.has(model)) links.set(model, makeLink(model));
  return links.get(model);
}

function makeLink(model) {
  const waiting = new Map();
  const listeners = new Set();
  const link = { news: { progress: {}, points: [], rows: [] }, heard: Date.now(), silent: false, late: false };
  let lastRequest = 0;

  const tell = (what) => listeners.forEach((listener) => listener(what));

  const hear = () => {
    link.heard = Date.now();
    if (link.silent) {
      link.silent = false;
      tell("silence");
    }
  };

  const setLate = (late) => {
    if (link.late !== late) {
      link.late = late;
      tell("silence");
    }
  };

  const kinds = {
    beat() {},
    taken(message) {
      const request = waiting.get(message.id);
      if (!request) return;
      clearTimeout(request.timer);
      setLate(false);
    },
    reply(message) {
      const { resolve, reject } = waiting.get(message.id) ?? {};
      waiting.delete(message.id);
      if (message.ok) resolve?.(message.value);
      else reject?.(new Error(message.error));
    },
    news(message) {
      const { points, rows } = link.news;
      link.news = {
        progress: message.progress,
        points: points.slice(0, message.from).concat(message.points),
        rows: rows.slice(0, message.rows_from).concat(message.rows),
      };
      tell("news");
    },
  };

  model.on("msg:custom", (message) => {
    hear();
    kinds[message.kind]?.(message);
  });

  /** Ask the kernel for something; rejects with one sentence when it cannot be done. */
  link.request = (op, args = {}) =>
    new Promise((resolve, reject) => {
      // Replies reach every view of the widget, in other pages too: the id must be this page's own.
      const id = `${crypto.randomUUID?.() ?? Math.random()}-${++lastRequest}`;
      waiting.set(id, { resolve, reject, timer: setTimeout(() => setLate(true), PATIENCE) });
      model.send({ kind: "request", id, op, args });
    });

  /** Call `listener` with "news" or "silence" until the function returned is called. */
  link.listen = (listener) => {
    listeners.add(listener);
    watch ??= setInterval(notice, 1000);
    return () => {
      listeners.delete(listener);
      if (!listeners.size) watch = clearInterval(watch);
    };
  };

  let watch;
  let looked = Date.now();

  function notice() {
    const now = Date.now();
    if (now - looked > 5000) link.heard = now; // timers sleep in a hidden page; that is no silence of the kernel
    looked = now;
    if (link.silent || now - link.heard < SILENCE) return;
    link.silent = true;
    tell("silence");
  }

  return link;
}

/**
 * One view: says hello, watches traits and the link, and lets go of all of it at the end.
 * `watch(names, draw)` draws now and after every change.
 */
export function viewOf(model, el) {
  const link = linkOf(model);
  const id = `${Date.now()}-${++lastView}`;
  const undo = [];
  const view = {
    model,
    link,
    watch(names, draw) {
      for (const name of [names].flat()) {
        model.on(`change:${name}`, draw);
        undo.push(() => model.off(`change:${name}`, draw));
      }
      draw();
    },
    listen(what, draw) {
      undo.push(link.listen((said) => said === what && draw()));
      draw();
    },
    touch: touches(link),
  };
  el.classList.add("nbt");
  // Without these, keys pressed in the widget act on the notebook: `d d` would delete the cell. JupyterLab listens where a
  // key bubbles up to. Notebook 7 listens before, and lets alone what carries this mark itself: an ancestor's does not count.
  // Keys with Ctrl or Cmd are let through: they save the notebook, or run the cell.
  const mark = (element, on) => (on ? element.setAttribute(KEEP_KEYS, "true") : element.removeAttribute(KEEP_KEYS));
  const command = (event) => event.ctrlKey || event.metaKey;
  el.addEventListener("focusin", (event) => mark(event.target, true));
  el.addEventListener("keyup", (event) => mark(event.target, !command(event)));
  el.addEventListener("keydown", (event) => {
    mark(event.target, !command(event));
    if (!command(event)) event.stopPropagation();
  });
  for (const kind of ["pointerdown", "pointermove", "keydown"]) el.addEventListener(kind, view.touch);
  link.heard = Date.now();
  model.send({ kind: "hello", view: id });
  view.end = () => {
    undo.forEach((step) => step());
    model.send({ kind: "bye", view: id });
  };
  return view;
}

/** Tells the kernel now and then that somebody is at work here; only where it matters, after a run has ended. */
function touches(link) {
  let last = 0;
  return () => {
    if (!link.ended || Date.now() - last < 10_000) return;
    last = Date.now();
    link.request("touch").catch(() => {}); // the report comes earlier then, which is no harm
  };
}
