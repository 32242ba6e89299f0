// Small pieces every part needs. Text is always set as text: names of classes and files are never read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props` holds attributes, properties (`.value`), listeners (`onclick`); children are elements or text. */
export function h(tag, props = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const node = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  if (classes.length) node.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key.startsWith(".")) node[key.slice(1)] = value;
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** Puts these children in the place of all others. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** A large count in three figures: 950, 3.37 M, 1.81 G. */
export function scaled(number) {
  for (const [limit, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (Math.abs(number) >= limit) return `${Number((number / limit).toPrecision(3))} ${unit}`;
  return String(Number(number.toPrecision(3)));
}

/** 8 s, 3 min 20 s, 2 h 05 min */
export function duration(seconds) {
  const whole = Math.round(seconds);
  const two = (n) => String(n).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** `1 image`, `2 images` */
export const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** A table with a header row. */
export function table(header, rows, caption) {
  return h(
    "table",
    {},
    caption ? h("caption", {}, caption) : null,
    h("thead", {}, h("tr", {}, header.map((cell) => h("th", { scope: "col" }, String(cell))))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell instanceof Node ? cell : String(cell)))))),
  );
}

/** A form field with its label. */
export const field = (label, input, hint) =>
  h("label.nbt-field", {}, h("span", {}, label), input, hint ? h("small", {}, hint) : null);

/** A section with a heading. */
export const section = (title, ...children) => h("section.nbt-section", {}, h("h3", {}, title), ...children);
