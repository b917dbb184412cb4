// How much of the context window the next prompt takes, counted when one pauses.

import { part } from "chat/elements";

const PAUSE_MS = 500;

export class Meter {
  #element;
  #requests;
  #read;
  #asked;
  #timer;

  // `requests` of its own: a count sends nobody to log in.
  constructor(element, requests, read) {
    this.#element = element;
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
    const { json } = await this.#requests.post("/chat/tokens/", fields);
    if (asked !== this.#asked) return;
    this.#asked = json && asked;
    if (!json) return;
    part(this.#element, "words").textContent = json.words;
    part(this.#element, "used").textContent = json.used;
    part(this.#element, "share").value = json.percent;
    this.#element.classList.toggle("tokens--near", json.near);
  };
}
