// One conversation in the sidebar: its facts, and the marks and words made of them.

import { OPEN_STATES } from "chat/protocol";
import { text } from "chat/strings";

const BAD_STATES = ["failed", "interrupted"];

export class Entry {
  #facts = {};
  #marks;
  #link;
  #problem = null;
  #shownTitle = null;
  #shownMark = null;

  // While something of it is open, it stays where it is.
  isOpen = false;

  // `marks`: what can stand before a title, each with its data-mark.
  constructor(element, marks) {
    this.element = element;
    this.#marks = marks;
    this.#link = element.querySelector("a");
  }

  get id() {
    return this.#facts.id;
  }

  get title() {
    return this.#facts.title || text("new_conversation");
  }

  get pinned() {
    return this.#facts.pinned;
  }

  get updatedAt() {
    return this.#facts.updatedAt;
  }

  get facts() {
    return { ...this.#facts };
  }

  get link() {
    return this.#link;
  }

  get moreButton() {
    return this.#part("[data-action=more]");
  }

  set isCurrent(isCurrent) {
    if (isCurrent) this.#link.ariaCurrent = "page";
    else this.#link.removeAttribute("aria-current");
  }

  // Takes over some facts, or all of them.
  update(facts) {
    Object.assign(this.#facts, facts);
    this.element.dataset.conversation = this.id;
    if (this.title !== this.#shownTitle) this.#showTitle();
    if (this.#mark !== this.#shownMark) this.#showMark();
  }

  // What went wrong with it, in words; "" takes them away.
  say(problem) {
    this.#problem?.remove();
    this.#problem = null;
    if (problem === "") return;
    this.#problem = document.createElement("p");
    this.#problem.className = "entry__problem";
    this.#problem.role = "alert";
    this.element.append(this.#problem);
    this.#problem.textContent = problem;
  }

  get #mark() {
    const { state, unread, pinned } = this.#facts;
    if (OPEN_STATES.includes(state)) return state === "queued" ? "queued" : "writing";
    if (unread) return BAD_STATES.includes(state) ? "failed" : "ready";
    return pinned ? "pinned" : "";
  }

  #showTitle() {
    const title = this.#part(".entry__title");
    title.textContent = title.title = this.#shownTitle = this.title;
    this.moreButton.ariaLabel = text("more_of", { title: this.title });
  }

  #showMark() {
    const name = (this.#shownMark = this.#mark);
    this.element.dataset.mark = name;
    const drawing = this.#marks.querySelector(`[data-mark="${name === "queued" ? "writing" : name}"]`);
    this.#part("[data-part=mark]").replaceChildren(...(drawing === null ? [] : [drawing.cloneNode(true)]));
    this.#part("[data-part=note]").textContent = name === "" || name === "pinned" ? "" : text(`entry_${name}`);
  }

  #part(selector) {
    return this.element.querySelector(selector);
  }
}

// The facts of an entry as the server wrote it.
export function factsOf(element) {
  const { conversation, state } = element.dataset;
  return {
    id: conversation,
    title: element.querySelector(".entry__title").title,
    pinned: "pinned" in element.dataset,
    unread: "unread" in element.dataset,
    state: state || null,
    updatedAt: Date.parse(element.querySelector("time").dateTime),
  };
}
