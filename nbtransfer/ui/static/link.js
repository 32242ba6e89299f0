/** @import { AnyModel } from "@anywidget/types" */
/** @import { Done, FromPage, Operations, Refused, ToPage } from "./messages" */
/** @import { Link, Topic } from "./types" */

import { merged, NOTHING } from "./series.js";

const SILENCE = 10_000; // the kernel beats every 2 s; five missed beats mean that something is wrong
const ACK = 3_000; // a request is acknowledged at once where the kernel can take it

/** @typedef {{ resolve: (value: any) => void, reject: (error: Error) => void, timer: ReturnType<typeof setTimeout> }} Waiting */

/** @type {WeakMap<object, Link>} */
const links = new WeakMap();

/**
 * The link of a widget's model; views of one model share it.
 * @param {AnyModel<any>} model
 * @returns {Link}
 */
export function linkOf(model) {
  const link = links.get(model) ?? new ModelLink(model);
  links.set(model, link);
  return link;
}

/** @implements {Link} */
class ModelLink {
  series = NOTHING;
  silent = false;
  late = false;

  #model;
  #heard = Date.now();
  #looked = Date.now();
  /** @type {Map<string, Waiting>} */
  #waiting = new Map();
  /** @type {Set<(topic: Topic) => void>} */
  #listeners = new Set();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watch;

  /** @param {AnyModel<any>} model */
  constructor(model) {
    this.#model = model;
    model.on("msg:custom", (message) => this.#receive(message));
  }

  /**
   * @template {keyof Operations} Op
   * @param {Op} op
   * @param {Operations[Op][0]} args
   * @returns {Promise<Operations[Op][1]>}
   */
  request(op, args) {
    // Replies reach every view of the widget, in other pages too: the id must be this page's own.
    const id = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#setLate(true), ACK);
      this.#waiting.set(id, { resolve, reject, timer });
      send(this.#model, { kind: "request", id, op, args });
    });
  }

  /** @param {(topic: Topic) => void} listener */
  listen(listener) {
    this.#listeners.add(listener);
    this.#watch ??= setInterval(() => this.#noticeSilence(), 1000);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size) return;
      clearInterval(this.#watch);
      this.#watch = undefined;
    };
  }

  restart() {
    this.#heard = Date.now();
  }

  /** @param {ToPage} message */
  #receive(message) {
    this.#heard = Date.now();
    this.#setSilent(false);
    if (message.kind === "ack") this.#acknowledge(message.id);
    else if (message.kind === "reply") this.#settle(message);
    else if (message.kind === "news") {
      this.series = merged(this.series, message);
      this.#announce("news");
    }
  }

  /** @param {string} id */
  #acknowledge(id) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return; // a request of another page
    clearTimeout(waiting.timer);
    this.#setLate(false);
  }

  /** @param {Done | Refused} reply */
  #settle(reply) {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.ok) waiting?.resolve(reply.value);
    else waiting?.reject(new Error(reply.error));
  }

  #noticeSilence() {
    const now = Date.now();
    if (now - this.#looked > 5000) this.#heard = now; // timers sleep in a hidden page; that is no silence of the kernel
    this.#looked = now;
    if (now - this.#heard >= SILENCE) this.#setSilent(true);
  }

  /** @param {boolean} silent */
  #setSilent(silent) {
    if (this.silent === silent) return;
    this.silent = silent;
    this.#announce("silence");
  }

  /** @param {boolean} late */
  #setLate(late) {
    if (this.late === late) return;
    this.late = late;
    this.#announce("silence");
  }

  /** @param {Topic} topic */
  #announce(topic) {
    for (const listener of this.#listeners) listener(topic);
  }
}

/**
 * @param {AnyModel<any>} model
 * @param {FromPage} message
 */
export function send(model, message) {
  model.send(message);
}
