// The entries of the sidebar in their groups, each at its place.

import { Entry } from "chat/entry";
import { compareEntries, compareGroups, groupOf, monthOf } from "chat/groups";
import { text } from "chat/strings";
import { language } from "chat/times";

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

  // The entry that an element lies in.
  find = (element) => this.#entries.get(element.closest("[data-conversation]")?.dataset.conversation);

  // Which one is open on the page; null for none of them.
  set current(id) {
    const before = this.#current;
    this.#current = id;
    for (const one of [before, id]) this.#showCurrent(one);
  }

  // New facts about one that is here, or one more.
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

  // The focus goes to a neighbour, if it was here.
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

  // When a day has passed, all of them may belong elsewhere.
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

  // Its list; the style hides it while it is empty.
  #group(name) {
    const found = this.#groups.get(name);
    if (found !== undefined) return found;
    const section = this.#moulds.group.firstElementChild.cloneNode(true);
    section.querySelector("h2").textContent = monthOf(name, language()) ?? text(`group_${name}`);
    const next = [...this.#groups.keys()].sort(compareGroups).find((other) => compareGroups(name, other) < 0);
    const later = this.#groups.get(next)?.parentNode ?? this.#list.querySelector("[data-part=none]");
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
