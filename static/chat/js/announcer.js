// Reads out what happens: the answer being written, sentence by sentence, and what became of a press on a button.

import { Sentences } from "chat/sentences";
import { text } from "chat/strings";

const PAUSE_MS = 3_000;

export class Announcer {
  #element;
  #readers = new Map();
  #waiting = [];
  #timer = null;

  // `element`: a polite live region.
  constructor(element) {
    this.#element = element;
  }

  // Nothing of this answer is here yet: all of it is read.
  begin(generation) {
    this.#readers.set(generation, new Sentences(document.documentElement.lang, text("announce_code")));
  }

  append(generation, added) {
    this.#readers.get(generation)?.append(added);
    this.#wake();
  }

  // An answer that was under way when the page was loaded is read from here on.
  replace(generation, whole) {
    const isNew = !this.#readers.has(generation);
    if (isNew) this.begin(generation);
    this.#readers.get(generation).replace(whole);
    if (isNew) this.#readers.get(generation).skip();
    else this.#wake();
  }

  end(generation, sentence) {
    this.#waiting.push(...(this.#readers.get(generation)?.take(true) ?? []), sentence);
    this.#readers.delete(generation);
    this.#wake();
  }

  // At once: somebody waits for it.
  say(sentence) {
    clearTimeout(this.#timer);
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

  // What already stands there would not be read a second time.
  #speak(sentence) {
    this.#element.textContent = this.#element.textContent === sentence ? `${sentence}\u00a0` : sentence;
  }
}

// Headings and items of lists have no full stop, but a pause belongs after them.
function ended(sentence) {
  return /[\p{L}\p{N}]$/u.test(sentence) ? `${sentence}.` : sentence;
}
