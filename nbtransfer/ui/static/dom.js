/** @import { Child, Made, Props } from "./types" */

// Small pieces every part needs. Text is always set as text: names of classes and files are never read as HTML. `drawn` is
// the one door for what the kernel has drawn.

const SOON = 500; // milliseconds after which people wonder

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element: "p", "div.class", "svg:path". `props` are attributes, properties (`.value`) and listeners (`onclick`).
 * @template {string} Spec
 * @param {Spec} spec
 * @param {Props} props
 * @param {...(Child | Child[])} children
 * @returns {Made<Spec>}
 */
export function h(spec, props = {}, ...children) {
  const [name, ...classes] = spec.split(".");
  const element = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  if (classes.length) element.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(props)) setProp(element, key, value);
  element.append(...present(children));
  return /** @type {Made<Spec>} */ (element);
}

/**
 * @param {Element} element
 * @param {string} key
 * @param {unknown} value
 */
function setProp(element, key, value) {
  if (key.startsWith("on")) element.addEventListener(key.slice(2), /** @type {EventListener} */ (value));
  else if (key.startsWith(".")) Object.assign(element, { [key.slice(1)]: value });
  else if (value !== null && value !== undefined && value !== false)
    element.setAttribute(key, value === true ? "" : String(value));
}

/** @param {(Child | Child[])[]} children */
const present = (children) => children.flat().filter((child) => child !== null && child !== undefined);

/**
 * Puts these children in the place of all others.
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
}

/**
 * A table with a header row.
 * @param {string[]} header
 * @param {(Node | string | number)[][]} rows
 */
export function table(header, rows) {
  const cell = (/** @type {Node | string | number} */ value) => h("td", {}, value instanceof Node ? value : String(value));
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, ...header.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map(cell)))),
  );
}

/**
 * A form field with its label.
 * @param {string} label
 * @param {HTMLElement} input
 */
export const field = (label, input) => h("label.nbt-field", {}, h("span", {}, label), input);

/**
 * A section with a heading.
 * @param {string} title
 * @param {...Child} children
 */
export const section = (title, ...children) => h("section.nbt-section", {}, h("h3", {}, title), ...children);

/** A field for a number. The kernel reads what was typed: a browser's own field makes 1 of `0,001`. */
export const NUMBER = { type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: false };

/** A place for one sentence on what went wrong. */
export const problemLine = () => h("p.nbt-problem", { role: "alert" });

/**
 * What went wrong, as a sentence.
 * @param {unknown} error
 */
export const messageOf = (error) => (error instanceof Error ? error.message : String(error));

/**
 * HTML or SVG that the kernel drew, with every name in it escaped there.
 * @param {string} markup
 * @param {Props} props
 */
export const drawn = (markup, props = {}) => h("div", { ...props, ".innerHTML": markup });

/**
 * Says what is being done where that takes a while; the line is empty again at its end.
 * @template T
 * @param {HTMLElement} line
 * @param {string} words
 * @param {Promise<T>} work
 * @returns {Promise<T>}
 */
export async function saying(line, words, work) {
  const timer = setTimeout(() => {
    line.textContent = words;
  }, SOON);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
    line.textContent = "";
  }
}
