// Numbers as people read them.

const UNITS = /** @type {const} */ ([
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
]);

/**
 * A large count in three figures: 950, 3.37 M, 1.81 G.
 * @param {number} number
 */
export function shortNumber(number) {
  for (const [limit, unit] of UNITS) if (Math.abs(number) >= limit) return `${three(number / limit)} ${unit}`;
  return String(three(number));
}

/** @param {number} number */
const three = (number) => Number(number.toPrecision(3));

/**
 * A score in three decimals. Ties go to the even digit, as in the kernel: 0.8125 is 0.812 everywhere.
 * @param {number} value
 */
export function score(value) {
  const below = Math.floor(value * 1000);
  const isTie = Math.abs((value * 16) % 2) === 1; // only odd sixteenths lie exactly between two thousandths
  return isTie ? ((below + (below % 2)) / 1000).toFixed(3) : value.toFixed(3);
}

/**
 * 8 s, 3 min 20 s, 2 h 05 min
 * @param {number} seconds
 */
export function duration(seconds) {
  const whole = Math.round(seconds);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/**
 * `1 image`, `2 images`
 * @param {number} number
 * @param {string} noun
 */
export const quantity = (number, noun, plural = `${noun}s`) => `${number.toLocaleString("en")} ${number === 1 ? noun : plural}`;
