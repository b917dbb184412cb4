// @ts-check
// The entries of the sidebar: what each shows, and its place. The pinned ones come first, then they go by day in the
// viewer's own time zone, then by month.

/**
 * @import { Facts } from "chat/types"
 */

import { copyOf, find, make, part } from "chat/elements";
import { language } from "chat/figures";
import { OPEN_STATES } from "chat/protocol";
import { text } from "chat/strings";

/** @typedef {{ id: string, pinned: boolean, updatedAt: number }} Ordered */

const BAD_STATES = ["failed", "interrupted"];
const FIRST = ["pinned", "today", "yesterday", "week"];
const DAY_MS = 86_400_000;
const WEEK_DAYS = 7;

export class Entries {
  #list;
  /** @type {Record<string, DocumentFragment>} */
  #templates;
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** @type {Map<string, HTMLElement>} */
  #groups = new Map();
  /** @type {string | null} */
  #current = null;
  #today = new Date().toDateString();

  /**
   * @param {HTMLElement} list
   * @param {Record<string, DocumentFragment>} templates
   */
  constructor(list, templates) {
    this.#list = list;
    this.#templates = templates;
  }

  get ids() {
    return [...this.#entries.keys()];
  }

  /** @param {string} id */
  has(id) {
    return this.#entries.has(id);
  }

  /** @param {string | null | undefined} id */
  get(id) {
    return this.#entries.get(id ?? "");
  }

  /** @type {(element: Element) => Entry | undefined} */
  find = (element) => this.get(element.closest("[data-conversation]")?.getAttribute("data-conversation"));

  /** @param {string | null} id */
  set current(id) {
    const before = this.#current;
    this.#current = id;
    this.#showCurrent(before);
    this.#showCurrent(id);
  }

  /** @param {Partial<Facts> & {id: string}} facts */
  put(facts) {
    const entry = this.get(facts.id) ?? this.#make(facts.id);
    entry.update(facts);
    this.place(entry);
    return entry;
  }

  /** @param {string} id */
  #make(id) {
    const entry = new Entry(copyOf(this.#templates.entry), this.#templates.marks);
    entry.link.href = `${this.#list.dataset.root}${id}/`;
    this.#entries.set(id, entry);
    this.#showCurrent(id);
    return entry;
  }

  /** @param {Entry} entry */
  remove(entry) {
    const next = entry.element.contains(document.activeElement) ? this.neighbour(entry) : null;
    this.#entries.delete(entry.id);
    entry.element.remove();
    next?.focus({ preventScroll: true });
  }

  /**
   * Puts it to where it belongs by now, unless something of it is open.
   * @param {Entry} entry
   */
  place(entry) {
    if (entry.isOpen) return;
    const { element } = entry;
    const list = this.#group(groupOf(entry));
    const last = list.lastElementChild;
    // Those of a page come to the end; most others stay, or come to the top.
    const order = (/** @type {Element} */ other) => compareEntries(this.find(other) ?? entry, entry);
    const isLast = last !== null && last !== element && order(last) < 0;
    const isLater = (/** @type {Element} */ other) => other !== element && order(other) > 0;
    const next = isLast ? null : ([...list.children].find(isLater) ?? null);
    if (element.parentNode !== list || element.nextElementSibling !== next) move(element, list, next);
  }

  // After midnight all of them may belong elsewhere.
  turnDay = () => {
    const today = new Date().toDateString();
    if (today === this.#today) return;
    this.#today = today;
    for (const entry of this.#entries.values()) this.place(entry);
  };

  /**
   * What takes the focus when an entry goes.
   * @param {Entry} entry
   * @returns {HTMLElement}
   */
  neighbour({ element }) {
    /** @type {Element[]} */
    const all = [...this.#list.querySelectorAll(".entry")];
    const index = all.indexOf(element);
    return this.find(all[index + 1] ?? all[index - 1] ?? this.#list)?.link ?? this.#list;
  }

  /**
   * The style hides it while it is empty.
   * @param {string} name
   * @returns {HTMLElement}
   */
  #group(name) {
    const found = this.#groups.get(name);
    if (found !== undefined) return found;
    const section = copyOf(this.#templates.group);
    find(section, "h2").textContent = monthOf(name, language()) ?? text(`group_${name}`);
    const next = [...this.#groups.keys()].sort(compareGroups).find((other) => compareGroups(name, other) < 0);
    const later = this.#groups.get(next ?? "")?.parentNode ?? part(this.#list, "none");
    this.#list.insertBefore(section, later);
    const list = find(section, "ul");
    this.#groups.set(name, list);
    return list;
  }

  /** @param {string | null} id */
  #showCurrent(id) {
    const entry = this.get(id);
    if (entry !== undefined) entry.isCurrent = id === this.#current;
  }
}

/**
 * Moves an element without taking the focus from it, also where the browser can't.
 * @param {HTMLElement} element
 * @param {HTMLElement} list
 * @param {Element | null} next
 */
function move(element, list, next) {
  if (element.isConnected && "moveBefore" in list) {
    list.moveBefore(element, next);
    return;
  }
  const { activeElement } = document;
  const focused = element.contains(activeElement) ? /** @type {HTMLElement} */ (activeElement) : null;
  list.insertBefore(element, next);
  focused?.focus({ preventScroll: true });
}

// Holds its facts as well: id, title, pinned, unread, state, updatedAt.
export class Entry {
  id = "";
  title = "";
  pinned = false;
  unread = false;
  /** @type {string | null} */
  state = null;
  updatedAt = 0;
  // While something of it is open, it stays where it is.
  isOpen = false;
  #marks;

  /**
   * `marks`: what can stand before a title, each with its data-mark.
   * @param {HTMLElement} element
   * @param {DocumentFragment} marks
   */
  constructor(element, marks) {
    this.element = element;
    /** @type {HTMLAnchorElement} */
    this.link = find(element, "a");
    this.#marks = marks;
  }

  get moreButton() {
    return this.#find("[data-action=more]");
  }

  /** @param {boolean} isCurrent */
  set isCurrent(isCurrent) {
    this.link.ariaCurrent = isCurrent ? "page" : null;
  }

  /** @param {Partial<Facts>} facts */
  update(facts) {
    Object.assign(this, facts);
    this.title ||= text("new_conversation");
    this.element.dataset.conversation = this.id;
    const title = this.#find(".entry__title");
    if (title.title !== this.title) {
      title.textContent = title.title = this.title;
      this.moreButton.ariaLabel = text("more_of", { title: this.title });
    }
    if (this.element.dataset.mark !== this.#mark) this.#show(this.#mark);
  }

  /** @param {string} problem */
  say(problem) {
    this.element.querySelector(".entry__problem")?.remove();
    if (problem === "") return;
    const line = make("p", "entry__problem");
    line.role = "alert";
    this.element.append(line);
    line.textContent = problem; // an alert that comes with its words isn't read out everywhere
  }

  get #mark() {
    if (this.state !== null && OPEN_STATES.includes(this.state)) return this.state === "queued" ? "queued" : "writing";
    if (this.unread) return BAD_STATES.includes(this.state ?? "") ? "failed" : "ready";
    return this.pinned ? "pinned" : "";
  }

  /** @param {string} mark */
  #show(mark) {
    this.element.dataset.mark = mark;
    const drawing = this.#marks.querySelector(`[data-mark="${mark === "queued" ? "writing" : mark}"]`);
    part(this.element, "mark").replaceChildren(...(drawing === null ? [] : [drawing.cloneNode(true)]));
    part(this.element, "note").textContent = ["", "pinned"].includes(mark) ? "" : text(`entry_${mark}`);
  }

  /**
   * @param {string} selector
   * @returns {HTMLElement}
   */
  #find(selector) {
    return find(this.element, selector);
  }
}

/**
 * @param {HTMLElement} element
 * @returns {Facts}
 */
export function factsOf(element) {
  const { conversation, state } = element.dataset;
  return {
    id: conversation ?? "",
    title: find(element, ".entry__title").title,
    pinned: "pinned" in element.dataset,
    unread: "unread" in element.dataset,
    state: state || null,
    updatedAt: Date.parse(/** @type {HTMLTimeElement} */ (find(element, "time")).dateTime),
  };
}

/**
 * The name of the group: one of FIRST, or a month such as 2026-10. `updatedAt` is in milliseconds.
 * @param {{pinned: boolean, updatedAt: number}} facts
 * @param {Date} [now]
 */
export function groupOf({ pinned, updatedAt }, now = new Date()) {
  if (pinned) return "pinned";
  const moment = new Date(updatedAt);
  const days = Math.round((midnight(now) - midnight(moment)) / DAY_MS); // rounded: not all days have 24 hours
  if (days < 1) return "today";
  if (days === 1) return "yesterday";
  if (days <= WEEK_DAYS) return "week";
  return moment.toLocaleDateString("sv").slice(0, 7);
}

/** @param {Date} moment */
function midnight(moment) {
  return new Date(moment.getFullYear(), moment.getMonth(), moment.getDate()).getTime();
}

/**
 * @param {string} a
 * @param {string} b
 */
export function compareGroups(a, b) {
  return rank(a) - rank(b) || (a < b ? 1 : -1);
}

/** @param {string} name */
function rank(name) {
  return FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length;
}

/**
 * The order of the portal.
 * @param {Ordered} a
 * @param {Ordered} b
 */
export function compareEntries(a, b) {
  return Number(b.pinned) - Number(a.pinned) || b.updatedAt - a.updatedAt || (a.id < b.id ? 1 : -1);
}

/**
 * null for the other groups.
 * @param {string} name
 * @param {string} language
 * @param {Date} [now]
 */
export function monthOf(name, language, now = new Date()) {
  if (FIRST.includes(name)) return null;
  const [year, month] = name.split("-").map(Number);
  /** @type {Intl.DateTimeFormatOptions} */
  const style = year === now.getFullYear() ? { month: "long" } : { month: "long", year: "numeric" };
  return new Intl.DateTimeFormat(language, style).format(new Date(year, month - 1));
}
