const PAUSE = 700; // milliseconds after which typing begins anew

/** What is being typed, letter by letter. */
export class Typed {
  #text = "";
  #at = 0;

  /**
   * The text with this key in it.
   * @param {string} key
   * @param {number} now milliseconds
   */
  add(key, now) {
    this.#text = (now - this.#at < PAUSE ? this.#text : "") + key.toLowerCase();
    this.#at = now;
    return this.#text;
  }
}
