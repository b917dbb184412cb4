// The list of conversations at the side: a new one comes in at the top, and one that goes on moves there.

import { showTime, showTimes } from "chat/times";

export class Sidebar {
  #list;
  #mould;

  constructor(list, mould) {
    this.#list = list;
    this.#mould = mould;
  }

  start() {
    showTimes(this.#list);
  }

  // `address` leads to the conversation; it is the one on the page.
  add(id, title, address) {
    if (this.#entry(id) !== null) return;
    const item = this.#mould.content.firstElementChild.cloneNode(true);
    const entry = item.querySelector(".entry");
    entry.href = address;
    entry.dataset.conversation = id;
    entry.ariaCurrent = "page";
    entry.querySelector(".entry__title").textContent = title;
    this.#list.prepend(item);
    this.touch(id);
  }

  // Something was just said in it.
  touch(id) {
    const entry = this.#entry(id);
    if (entry === null) return;
    const time = entry.querySelector("time");
    time.dateTime = new Date().toISOString();
    showTime(time);
    this.#list.prepend(entry.closest("li"));
  }

  #entry(id) {
    return this.#list.querySelector(`[data-conversation="${CSS.escape(id)}"]`);
  }
}

// The first line that holds something, as the server makes a title of it; the style cuts what is too long.
export function titleOf(prompt) {
  return prompt.split("\n").map((line) => line.trim()).find((line) => line !== "") ?? "";
}
