// @ts-check
// Reads out what happens: the answer being written, sentence by sentence, and what became of a press on a button.

import { Sentences } from "chat/sentences";
import { text } from "chat/strings";

const PAUSE_MS = 3_000;

export class Announcer {
  /** @type {HTMLElement} */
  #element;
  /** @type {Map<string, Sentences>} */
  #readers = new Map();
  /** @type {string[]} */
  #waiting = [];
  /** @type {number | null} */
  #timer = null;

  /**
   * `element`: a polite live region.
   * @param {HTMLElement} element
   */
  constructor(element) {
    this.#element = element;
  }

  /**
   * Nothing of this answer is here yet: all of it is read.
   * @param {string} generation
   * @returns {Sentences}
   */
  begin(generation) {
    const reader = new Sentences(document.documentElement.lang, text("announce_code"));
    this.#readers.set(generation, reader);
    return reader;
  }

  /**
   * @param {string} generation
   * @param {string} added
   */
  append(generation, added) {
    this.#readers.get(generation)?.append(added);
    this.#wake();
  }

  /**
   * An answer that was under way when the page was loaded is read from here on.
   * @param {string} generation
   * @param {string} whole
   */
  replace(generation, whole) {
    const known = this.#readers.get(generation);
    const reader = known ?? this.begin(generation);
    reader.replace(whole);
    if (known === undefined) reader.skip();
    else this.#wake();
  }

  /**
   * @param {string} generation
   * @param {string} sentence
   */
  end(generation, sentence) {
    this.#waiting.push(...(this.#readers.get(generation)?.take(true) ?? []), sentence);
    this.#readers.delete(generation);
    this.#wake();
  }

  /**
   * At once: somebody waits for it.
   * @param {string} sentence
   */
  say(sentence) {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#read, PAUSE_MS);
    this.#speak(sentence);
  }

  #wake() {
    if (this.#timer === null) this.#read();
  }

  #read = () => {
    this.#timer = null;
    const sentences = this.#waiting;
    this.#waiting = [];
    for (const reader of this.#readers.values()) sentences.push(...reader.take());
    if (sentences.length > 0) this.#speak(sentences.map(ended).join(" "));
    if (sentences.length > 0 || this.#readers.size > 0) this.#timer = setTimeout(this.#read, PAUSE_MS);
  };

  /**
   * What already stands there would not be read a second time.
   * @param {string} sentence
   */
  #speak(sentence) {
    this.#element.textContent = this.#element.textContent === sentence ? `${sentence}\u00a0` : sentence;
  }
}

/**
 * Headings and items of lists have no full stop, but a pause belongs after them.
 * @param {string} sentence
 */
function ended(sentence) {
  return /[\p{L}\p{N}]$/u.test(sentence) ? `${sentence}.` : sentence;
}
