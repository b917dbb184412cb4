// The entries of the sidebar: what each shows, and its place. The pinned ones come first, then they go by day in the
// viewer's own time zone, then by month.

import { make, part } from "chat/elements";
import { language } from "chat/figures";
import { OPEN_STATES } from "chat/protocol";
import { text } from "chat/strings";

const BAD_STATES = ["failed", "interrupted"];
const FIRST = ["pinned", "today", "yesterday", "week"];
const DAY_MS = 86_400_000;
const WEEK_DAYS = 7;

export class Entries {
  #list;
  #moulds;
  #entries = new Map();
  #groups = new Map();
  #current = null;
  #today = new Date().toDateString();

  constructor(list, moulds) {
    this.#list = list;
    this.#moulds = moulds;
  }

  get ids() {
    return [...this.#entries.keys()];
  }

  has(id) {
    return this.#entries.has(id);
  }

  get(id) {
    return this.#entries.get(id);
  }

  find = (element) => this.#entries.get(element.closest("[data-conversation]")?.dataset.conversation);

  set current(id) {
    const before = this.#current;
    this.#current = id;
    this.#showCurrent(before);
    this.#showCurrent(id);
  }

  put(facts) {
    if (!this.has(facts.id)) {
      const entry = new Entry(this.#moulds.entry.firstElementChild.cloneNode(true), this.#moulds.marks);
      entry.link.href = `${this.#list.dataset.root}${facts.id}/`;
      this.#entries.set(facts.id, entry);
      this.#showCurrent(facts.id);
    }
    const entry = this.get(facts.id);
    entry.update(facts);
    this.place(entry);
  }

  remove(entry) {
    const heir = entry.element.contains(document.activeElement) ? this.neighbour(entry) : null;
    this.#entries.delete(entry.id);
    entry.element.remove();
    heir?.focus({ preventScroll: true });
  }

  // Puts it to where it belongs by now, unless something of it is open.
  place(entry) {
    if (entry.isOpen) return;
    const { element } = entry;
    const list = this.#group(groupOf(entry));
    const last = list.lastElementChild;
    // Those of a page come to the end; most others stay, or come to the top.
    const isLast = last !== null && last !== element && compareEntries(this.find(last), entry) < 0;
    const isLater = (other) => other !== element && compareEntries(entry, this.find(other)) < 0;
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

  // What takes the focus when an entry goes.
  neighbour({ element }) {
    const all = [...this.#list.querySelectorAll(".entry")];
    const index = all.indexOf(element);
    return this.find(all[index + 1] ?? all[index - 1] ?? this.#list)?.link ?? this.#list;
  }

  // The style hides it while it is empty.
  #group(name) {
    const found = this.#groups.get(name);
    if (found !== undefined) return found;
    const section = this.#moulds.group.firstElementChild.cloneNode(true);
    section.querySelector("h2").textContent = monthOf(name, language()) ?? text(`group_${name}`);
    const next = [...this.#groups.keys()].sort(compareGroups).find((other) => compareGroups(name, other) < 0);
    const later = this.#groups.get(next)?.parentNode ?? part(this.#list, "none");
    this.#list.insertBefore(section, later);
    const list = section.querySelector("ul");
    this.#groups.set(name, list);
    return list;
  }

  #showCurrent(id) {
    const entry = this.get(id);
    if (entry !== undefined) entry.isCurrent = id === this.#current;
  }
}

// Moves an element without taking the focus from it, also where the browser can't.
function move(element, list, next) {
  if (element.isConnected && list.moveBefore) {
    list.moveBefore(element, next);
    return;
  }
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  list.insertBefore(element, next);
  focused?.focus({ preventScroll: true });
}

// Holds its facts as well: id, title, pinned, unread, state, updatedAt.
class Entry {
  // While something of it is open, it stays where it is.
  isOpen = false;
  #marks;

  // `marks`: what can stand before a title, each with its data-mark.
  constructor(element, marks) {
    this.element = element;
    this.link = element.querySelector("a");
    this.#marks = marks;
  }

  get moreButton() {
    return this.#find("[data-action=more]");
  }

  set isCurrent(isCurrent) {
    this.link.ariaCurrent = isCurrent ? "page" : null;
  }

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

  say(problem) {
    this.#find(".entry__problem")?.remove();
    if (problem === "") return;
    const line = make("p", "entry__problem");
    line.role = "alert";
    this.element.append(line);
    line.textContent = problem; // an alert that comes with its words isn't read out everywhere
  }

  get #mark() {
    if (OPEN_STATES.includes(this.state)) return this.state === "queued" ? "queued" : "writing";
    if (this.unread) return BAD_STATES.includes(this.state) ? "failed" : "ready";
    return this.pinned ? "pinned" : "";
  }

  #show(mark) {
    this.element.dataset.mark = mark;
    const drawing = this.#marks.querySelector(`[data-mark="${mark === "queued" ? "writing" : mark}"]`);
    part(this.element, "mark").replaceChildren(...(drawing === null ? [] : [drawing.cloneNode(true)]));
    part(this.element, "note").textContent = ["", "pinned"].includes(mark) ? "" : text(`entry_${mark}`);
  }

  #find(selector) {
    return this.element.querySelector(selector);
  }
}

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

// The name of the group: one of FIRST, or a month such as 2026-10. `updatedAt` is in milliseconds.
export function groupOf({ pinned, updatedAt }, now = new Date()) {
  if (pinned) return "pinned";
  const moment = new Date(updatedAt);
  const days = Math.round((midnight(now) - midnight(moment)) / DAY_MS); // rounded: not all days have 24 hours
  if (days < 1) return "today";
  if (days === 1) return "yesterday";
  if (days <= WEEK_DAYS) return "week";
  return moment.toLocaleDateString("sv").slice(0, 7);
}

function midnight(moment) {
  return new Date(moment.getFullYear(), moment.getMonth(), moment.getDate()).getTime();
}

export function compareGroups(a, b) {
  return rank(a) - rank(b) || (a < b ? 1 : -1);
}

function rank(name) {
  return FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length;
}

// The order of the portal.
export function compareEntries(a, b) {
  return Number(b.pinned) - Number(a.pinned) || b.updatedAt - a.updatedAt || (a.id < b.id ? 1 : -1);
}

// null for the other groups.
export function monthOf(name, language, now = new Date()) {
  if (FIRST.includes(name)) return null;
  const [year, month] = name.split("-").map(Number);
  const style = year === now.getFullYear() ? { month: "long" } : { month: "long", year: "numeric" };
  return new Intl.DateTimeFormat(language, style).format(new Date(year, month - 1));
}
