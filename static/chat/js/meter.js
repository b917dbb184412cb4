// @ts-check
// How much of the context window the next prompt takes, counted when one pauses.

/**
 * @import { Requests } from "chat/requests"
 * @import { Reply } from "chat/types"
 */

import { part } from "chat/elements";

const PAUSE_MS = 500;

export class Meter {
  #element;
  #address;
  #requests;
  #read;
  /** @type {string | null | undefined} */
  #asked;
  /** @type {number | undefined} */
  #timer;

  /**
   * @param {HTMLElement} element
   * @param {{address: string, requests: Requests, read: () => Record<string, string>}} parts
   */
  constructor(element, { address, requests, read }) {
    this.#element = element;
    this.#address = address;
    this.#requests = requests;
    this.#read = read;
  }

  ask = () => {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#count, PAUSE_MS);
  };

  // A failure leaves the last figure to the next pause.
  #count = async () => {
    const fields = this.#read();
    const asked = JSON.stringify(fields);
    if (asked === this.#asked) return;
    this.#asked = asked;
    /** @type {Reply<{words: string, used: string, percent: number, near: boolean}>} */
    const { json } = await this.#requests.post(this.#address, fields);
    if (asked !== this.#asked) return;
    this.#asked = json === null ? null : asked;
    if (!json) return;
    part(this.#element, "words").textContent = json.words;
    part(this.#element, "used").textContent = json.used;
    /** @type {HTMLMeterElement} */ (part(this.#element, "share")).value = json.percent;
    this.#element.classList.toggle("tokens--near", json.near);
  };
}
