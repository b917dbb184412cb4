// @ts-check
// What one can do with an entry of the sidebar, in a row that opens below it, one at a time; and Undo.
//
// Events of EntryTools: "closed" and "gone" (detail: the entry), "deleted" (detail: {entry, isByKeyboard}).

/**
 * @import { Entry } from "chat/entries"
 * @import { Requests } from "chat/requests"
 * @import { Details, Reply, TargetOf } from "chat/types"
 */

import { action, copyOf, emit, find, targetOf } from "chat/elements";
import { complaint } from "chat/requests";
import { text } from "chat/strings";

const SHOWN_MS = 10_000;
const AT_MOST_MS = 28_000; // the portal keeps it for 30 s
const OK = 200;
const DONE = 204;
const FORBIDDEN = 403;
const NOT_FOUND = 404;

/** @typedef {{ closed: Entry, gone: Entry, deleted: { entry: Entry, isByKeyboard: boolean } }} Events */

export class EntryTools extends /** @type {TargetOf<Events>} */ (EventTarget) {
  #templates;
  #requests;
  #find;
  /** @type {Entry | null} */
  #entry = null;
  /** @type {HTMLElement | null} */
  #part = null;
  /** @type {Record<string, (entry: Entry, event: MouseEvent) => void>} */
  #actions;
  /** @type {string | null} */
  #deleting = null;

  /**
   * `find`: the entry that an element lies in.
   * @param {HTMLElement} list
   * @param {{templates: Record<string, DocumentFragment>, requests: Requests, find: (element: Element) => Entry | undefined}} parts
   */
  constructor(list, { templates, requests, find }) {
    super();
    this.#templates = templates;
    this.#requests = requests;
    this.#find = find;
    this.#actions = {
      more: (entry) => this.#toggle(entry),
      rename: (entry) => this.#rename(entry),
      pin: (entry) => this.#pin(entry, "on"),
      unpin: (entry) => this.#pin(entry, ""),
      delete: (entry, event) => this.#delete(entry, event.detail === 0),
    };
    list.addEventListener("click", this.#click);
    list.addEventListener("keydown", this.#press);
  }

  /** @param {string} id */
  isDeleting(id) {
    return id === this.#deleting;
  }

  /** @param {Entry} entry */
  forget(entry) {
    if (entry === this.#entry) this.#entry = this.#part = null;
  }

  /** @type {(event: MouseEvent) => void} */
  #click = (event) => {
    /** @type {HTMLButtonElement | null} */
    const button = targetOf(event).closest("button[data-action]");
    const entry = button === null ? undefined : this.#find(button);
    if (entry === undefined || button?.ariaDisabled === "true") return;
    this.#actions[button?.dataset.action ?? ""](entry, event);
  };

  /** @type {(event: KeyboardEvent) => void} */
  #press = (event) => {
    if (event.key !== "Escape" || this.#entry === null || event.isComposing) return;
    event.preventDefault(); // else it closes the drawer, too
    this.#closeTo(this.#entry);
  };

  /** @param {Entry} entry */
  #toggle(entry) {
    const wasOpen = entry === this.#entry;
    this.#close();
    if (wasOpen) return;
    const tools = copyOf(this.#templates.tools);
    action(tools, entry.pinned ? "pin" : "unpin").remove();
    entry.moreButton.ariaExpanded = "true";
    entry.moreButton.after(tools);
    this.#open(entry, tools);
    tools.scrollIntoView({ block: "nearest" });
  }

  /** @param {Entry} entry */
  #rename(entry) {
    this.#close();
    const form = /** @type {HTMLFormElement} */ (copyOf(this.#templates.rename));
    const box = /** @type {HTMLInputElement} */ (form.elements.namedItem("title"));
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

  /**
   * @param {Entry} entry
   * @param {HTMLInputElement} box
   */
  async #saveTitle(entry, box) {
    if (this.#part !== box.form || box.readOnly) return;
    const title = box.value.trim();
    if (title === "") {
      entry.say(text("title_empty"));
      return;
    }
    box.readOnly = true;
    if (title === entry.title || (await this.#ask(entry, "details/", { title }))) this.#closeTo(entry);
    box.readOnly = false;
  }

  /**
   * @param {Entry} entry
   * @param {string} pinned
   */
  async #pin(entry, pinned) {
    if (await this.#ask(entry, "details/", { pinned })) this.#closeTo(entry);
  }

  /**
   * @param {Entry} entry
   * @param {boolean} isByKeyboard
   */
  async #delete(entry, isByKeyboard) {
    this.#deleting = entry.id;
    const isDone = await this.#ask(entry, "delete/");
    this.#deleting = null;
    if (isDone) emit(this, "deleted", { entry, isByKeyboard });
  }

  /**
   * Whether it was done; the entry shows what the server made of it.
   * @param {Entry} entry
   * @param {string} address
   * @param {Record<string, string>} [fields]
   */
  async #ask(entry, address, fields) {
    const buttons = this.#part?.querySelectorAll("button") ?? [];
    for (const button of buttons) button.ariaDisabled = "true";
    entry.say("");
    /** @type {Reply<Details>} */
    const { status, json } = await this.#requests.post(entry.link.pathname + address, fields);
    for (const button of buttons) button.ariaDisabled = null;
    if (status === OK && json !== null) entry.update({ title: json.title, pinned: json.pinned });
    else if (status === NOT_FOUND) emit(this, "gone", entry);
    else if (status !== DONE && status !== FORBIDDEN)
      entry.say(Object.values(json?.errors ?? {})[0] ?? complaint(status));
    return status === OK || status === DONE;
  }

  /**
   * @param {Entry} entry
   * @param {HTMLElement} part
   */
  #open(entry, part) {
    this.#entry = entry;
    this.#part = part;
    entry.isOpen = true;
  }

  /** @param {Entry} entry */
  #closeTo(entry) {
    if (entry !== this.#entry) return;
    const hadFocus = this.#part?.contains(document.activeElement);
    this.#close();
    if (hadFocus) entry.moreButton.focus();
  }

  #close() {
    const entry = this.#entry;
    if (entry === null) return;
    const part = this.#part;
    this.#entry = this.#part = null;
    part?.remove();
    entry.say("");
    entry.link.hidden = entry.moreButton.hidden = false;
    entry.moreButton.ariaExpanded = "false";
    entry.isOpen = false;
    emit(this, "closed", entry);
  }
}

// A line for each; Undo is there as long as the line is.
export class UndoNotices {
  #region;
  #template;
  /** @type {Map<HTMLElement, Countdown>} */
  #countdowns = new Map();

  /**
   * @param {HTMLElement} region
   * @param {DocumentFragment} template
   */
  constructor(region, template) {
    this.#region = region;
    this.#template = template;
    const pause = () => this.#countdowns.forEach((countdown) => countdown.pause());
    const goOn = () => {
      if (!region.matches(":hover, :focus-within")) this.#countdowns.forEach((countdown) => countdown.goOn());
    };
    region.addEventListener("pointerenter", pause);
    region.addEventListener("focusin", pause);
    region.addEventListener("pointerleave", goOn);
    // Where the focus goes is known a moment later.
    region.addEventListener("focusout", () => setTimeout(goOn));
  }

  /**
   * `undo` answers with a status of HTTP; `back` puts the focus to where the deleted thing was. Returns the line.
   * @param {{title: string, undo: () => Promise<number>, back: () => void}} notice
   * @returns {HTMLElement}
   */
  add({ title, undo, back }) {
    const line = copyOf(this.#template);
    /** @type {HTMLButtonElement} */
    const button = find(line, "button");
    const say = (/** @type {string} */ words) => {
      find(line, ".undo__text").textContent = words;
    };
    say(text("deleted", { title }));
    button.ariaLabel = text("undo_of", { title });
    button.addEventListener("click", async () => {
      if (button.ariaDisabled === "true") return;
      button.ariaDisabled = "true";
      const status = await undo();
      button.ariaDisabled = null;
      if (status === DONE) this.#remove(line, back);
      else say(status === NOT_FOUND ? text("undo_too_late") : complaint(status));
      if (status === NOT_FOUND) button.remove();
    });
    line.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      this.#remove(line, back);
    });
    this.#region.append(line);
    this.#countdowns.set(line, new Countdown(() => this.#remove(line, back)));
    return line;
  }

  /**
   * @param {HTMLElement} line
   * @param {() => void} back
   */
  #remove(line, back) {
    this.#countdowns.get(line)?.stop();
    this.#countdowns.delete(line);
    if (line.contains(document.activeElement)) back();
    line.remove();
  }
}

// Calls `done` after SHOWN_MS, the pauses not counted, but in any case after AT_MOST_MS.
export class Countdown {
  #done;
  #left = SHOWN_MS;
  #since = 0;
  /** @type {number | null} */
  #timer = null;
  /** @type {number | null} */
  #last;

  /** @param {() => void} done */
  constructor(done) {
    this.#done = done;
    this.#last = setTimeout(this.#end, AT_MOST_MS);
    this.goOn();
  }

  goOn() {
    if (this.#timer !== null || this.#last === null) return;
    this.#since = Date.now();
    this.#timer = setTimeout(this.#end, this.#left);
  }

  pause() {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#left -= Date.now() - this.#since;
  }

  stop() {
    this.pause();
    if (this.#last !== null) clearTimeout(this.#last);
    this.#last = null;
  }

  #end = () => {
    this.stop();
    this.#done();
  };
}
