// What one can do with an entry of the sidebar: rename, pin, delete, in a row that opens below it. One at a time.
// Events: "closed" and "gone" (detail: the entry), "deleted" (detail: {entry, isByKeyboard}).

import { complaint } from "chat/requests";
import { text } from "chat/strings";

const FORBIDDEN = 403;
const NOT_FOUND = 404;

export class EntryTools extends EventTarget {
  #list;
  #moulds;
  #requests;
  #find;
  #entry = null;
  #part = null;
  #actions;
  #deleting = null;

  // `find`: the entry that an element lies in.
  constructor(list, { moulds, requests, find }) {
    super();
    this.#list = list;
    this.#moulds = moulds;
    this.#requests = requests;
    this.#find = find;
    this.#actions = {
      more: (entry) => this.#toggle(entry),
      rename: (entry) => this.#rename(entry),
      pin: (entry) => this.#pin(entry, "on"),
      unpin: (entry) => this.#pin(entry, ""),
      delete: (entry, event) => this.#delete(entry, event.detail === 0),
    };
  }

  start() {
    this.#list.addEventListener("click", this.#click);
    this.#list.addEventListener("keydown", this.#press);
  }

  // Whether this conversation is just being deleted by hand here.
  isDeleting(id) {
    return id === this.#deleting;
  }

  // The entry leaves the list.
  forget(entry) {
    if (entry === this.#entry) this.#entry = this.#part = null;
  }

  #click = (event) => {
    const button = event.target.closest("button[data-action]");
    if (button !== null && button.ariaDisabled !== "true") this.#actions[button.dataset.action](this.#find(button), event);
  };

  #press = (event) => {
    if (event.key !== "Escape" || this.#entry === null || event.isComposing) return;
    event.preventDefault(); // else it closes the drawer, too
    this.#closeTo(this.#entry);
  };

  #toggle(entry) {
    const isOpen = entry === this.#entry;
    this.#close();
    if (isOpen) return;
    const tools = this.#moulds.tools.firstElementChild.cloneNode(true);
    tools.querySelector(`[data-action=${entry.pinned ? "pin" : "unpin"}]`).remove();
    entry.moreButton.ariaExpanded = "true";
    entry.moreButton.after(tools);
    this.#open(entry, tools);
    tools.scrollIntoView({ block: "nearest" });
  }

  #rename(entry) {
    this.#close();
    const form = this.#moulds.rename.firstElementChild.cloneNode(true);
    const box = form.elements.title;
    box.value = entry.title;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#saveTitle(entry, box);
    });
    // Another window in front is no reason to save.
    box.addEventListener("blur", () => box !== document.activeElement && this.#saveTitle(entry, box));
    entry.link.hidden = entry.moreButton.hidden = true;
    entry.element.prepend(form);
    this.#open(entry, form);
    box.select();
    box.focus();
  }

  async #saveTitle(entry, box) {
    if (this.#part !== box.form || box.readOnly) return;
    const title = box.value.trim();
    if (title === "") {
      entry.say(text("title_empty"));
      return;
    }
    box.readOnly = true;
    if (title === entry.title || (await this.#change(entry, { title }))) this.#closeTo(entry);
    box.readOnly = false;
  }

  async #pin(entry, pinned) {
    if (await this.#change(entry, { pinned })) this.#closeTo(entry);
  }

  async #delete(entry, isByKeyboard) {
    this.#deleting = entry.id;
    const { status } = await this.#ask(entry, "delete/");
    this.#deleting = null;
    if (status >= 200 && status < 300) {
      this.dispatchEvent(new CustomEvent("deleted", { detail: { entry, isByKeyboard } }));
    }
  }

  // Whether it was done; the entry shows what the server made of it.
  async #change(entry, fields) {
    const { status, json } = await this.#ask(entry, "details/", fields);
    if (status !== 200) return false;
    entry.update({ title: json.title, pinned: json.pinned });
    return true;
  }

  async #ask(entry, address, fields) {
    const buttons = this.#part.querySelectorAll("button");
    buttons.forEach((button) => (button.ariaDisabled = "true"));
    entry.say("");
    const answer = await this.#requests.post(`${entry.link.pathname}${address}`, fields);
    buttons.forEach((button) => (button.ariaDisabled = null));
    this.#complain(entry, answer);
    return answer;
  }

  #complain(entry, { status, json }) {
    if (status >= 200 && status < 300) return;
    if (status === NOT_FOUND) this.#say("gone", entry);
    else if (status !== FORBIDDEN) entry.say(Object.values(json?.errors ?? {})[0] ?? complaint(status));
  }

  #open(entry, part) {
    this.#entry = entry;
    this.#part = part;
    entry.isOpen = true;
  }

  // The focus goes back to the entry, if it was there.
  #closeTo(entry) {
    if (entry !== this.#entry) return;
    const hadFocus = this.#part.contains(document.activeElement);
    this.#close();
    if (hadFocus) entry.moreButton.focus();
  }

  #close() {
    const entry = this.#entry;
    if (entry === null) return;
    const part = this.#part;
    this.#entry = this.#part = null;
    part.remove();
    entry.say("");
    entry.link.hidden = entry.moreButton.hidden = false;
    entry.moreButton.ariaExpanded = "false";
    entry.isOpen = false;
    this.#say("closed", entry);
  }

  #say(name, entry) {
    this.dispatchEvent(new CustomEvent(name, { detail: entry }));
  }
}
