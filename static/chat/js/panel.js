// @ts-check
// The options of the conversation: a column beside the work, on small screens a sheet over it. Saves by itself.

/**
 * @import { Conversation } from "chat/conversation"
 * @import { Requests } from "chat/requests"
 * @import { Storage } from "chat/storage"
 * @import { Details } from "chat/types"
 */

import { action, find, part } from "chat/elements";
import { Options, written } from "chat/options";
import { text } from "chat/strings";

const SAVE_MS = 600;
const FLUSH_MS = 2_000;
const IS_OPEN = "panel";

/** @typedef {HTMLInputElement | HTMLTextAreaElement} Field */

export class Panel {
  #element;
  #button;
  #form;
  #app;
  #memory;
  #options;
  #conversation;
  #wide = matchMedia("(min-width: 64rem)");
  /** @type {Map<string, string>} */
  #kept = new Map();

  /** @type {number | null} */
  #timer = null;

  /**
   * `memory`: this user's store, for whether it is open; `unsaved`: this tab's, for what the portal doesn't have yet.
   * @param {HTMLElement} element
   * @param {{button: HTMLButtonElement, memory: Storage, unsaved: Storage, requests: Requests, chat: string, conversation: Conversation}} parts
   */
  constructor(element, { button, memory, unsaved, requests, chat, conversation }) {
    this.#element = element;
    this.#button = button;
    this.#form = /** @type {HTMLFormElement} */ (element.querySelector("form"));
    this.#app = /** @type {HTMLElement} */ (element.parentElement);
    this.#memory = memory;
    this.#conversation = conversation;
    this.#options = new Options({ requests, storage: unsaved, chat, conversation });
  }

  start() {
    this.#button.addEventListener("click", this.#press);
    action(this.#element, "close").addEventListener("click", this.#press);
    this.#element.addEventListener("keydown", this.#leave);
    this.#element.addEventListener("toggle", this.#toggled);
    this.#form.addEventListener("submit", this.#submit);
    this.#form.addEventListener("input", this.#type);
    this.#form.addEventListener("change", this.save);
    this.#wide.addEventListener("change", this.#resize);
    document.addEventListener("visibilitychange", this.#refresh);
    this.#options.addEventListener("saved", this.#saved);
    this.#options.addEventListener("refused", this.#refused);
    this.#options.addEventListener("away", this.#away);
    this.#conversation.addEventListener("began", this.save);
    for (const field of this.#fields) {
      field.value = this.#options.unsaved(field.name) ?? "";
      // Until it is known what stands there, nobody may write over it.
      field.readOnly = this.#conversation.id !== null;
    }
    this.#app.classList.toggle("app--panel", this.#memory.get(IS_OPEN) !== null);
    this.#emit();
    this.#refresh();
  }

  /**
   * Whether a prompt is on its way to make it.
   * @param {boolean} isHeld
   */
  set isHeld(isHeld) {
    this.#options.isHeld = isHeld;
  }

  retry = () => {
    this.save();
    this.#refresh();
  };

  get isSaved() {
    return !this.#fields.some(this.#isUnsaved);
  }

  /**
   * Resolves when everything is saved that can be saved now, or after two seconds.
   * @returns {Promise<void>}
   */
  flush() {
    return Promise.race([this.save(), new Promise((resolve) => setTimeout(resolve, FLUSH_MS))]);
  }

  save = () => {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const field of this.#fields) {
      if (field.validity.badInput) this.#say(field, text("option_no_number"), true);
    }
    return this.#options.save();
  };

  /** @returns {Field[]} */
  get #fields() {
    return /** @type {Field[]} */ ([...this.#form.elements]).filter(({ name }) => name !== "");
  }

  get #isOpen() {
    return this.#wide.matches ? this.#app.classList.contains("app--panel") : this.#element.matches(":popover-open");
  }

  /**
   * As a sheet it is a popover, which the browser opens and closes.
   * @type {(event: Event) => void}
   */
  #press = (event) => {
    if (!this.#wide.matches) return;
    event.preventDefault();
    const isOpen = !this.#isOpen;
    if (isOpen) this.#memory.set(IS_OPEN, "open");
    else this.#memory.remove(IS_OPEN);
    this.#app.classList.toggle("app--panel", isOpen);
    this.#toggled();
    if (!isOpen) this.#button.focus({ preventScroll: true });
  };

  /** @type {(event: KeyboardEvent) => void} */
  #leave = (event) => {
    if (event.key === "Escape" && !event.shiftKey && !event.isComposing) this.#press(event);
  };

  #toggled = () => {
    this.#emit();
    if (!this.#isOpen) return;
    for (const field of this.#fields) {
      if (!this.#isBeingWritten(field)) this.#say(field, "");
    }
    // On phones the keyboard would cover what has just been opened.
    (matchMedia("(hover: hover)").matches ? this.#fields[0] : this.#element).focus({ preventScroll: true });
    this.#refresh();
  };

  #resize = () => {
    if (this.#element.matches(":popover-open")) this.#element.hidePopover();
    this.#emit();
    this.#refresh();
  };

  #emit() {
    this.#button.ariaExpanded = String(this.#isOpen);
  }

  // Shows what the portal has, which another tab may have changed; what is being written here stays.
  #refresh = async () => {
    if (this.#conversation.id === null || !this.#isOpen || document.hidden) return;
    const { status, json } = await this.#options.read();
    const isRead = status === 200 && json !== null;
    write(part(this.#element, "panel-state"), isRead ? "" : text("options_unread"));
    if (!isRead) return;
    for (const field of this.#fields) {
      field.readOnly = false;
      this.#kept.set(field.name, written(json[field.name]));
      if (!this.#isBeingWritten(field)) this.#show(field);
    }
  };

  /** @param {Field} field */
  #isBeingWritten(field) {
    return field.ariaInvalid === "true" || field.validity.badInput || this.#isUnsaved(field);
  }

  /** @type {(field: Field) => boolean} */
  #isUnsaved = ({ name }) => this.#options.unsaved(name) !== null;

  /** @param {string} name */
  #field(name) {
    return /** @type {Field} */ (this.#form.elements.namedItem(name));
  }

  /** @type {(event: Event) => void} */
  #submit = (event) => {
    event.preventDefault();
    this.save();
  };

  /** @type {(event: Event) => void} */
  #type = ({ target }) => {
    const field = /** @type {Field} */ (target);
    const isChanged = this.#isUnsaved(field) || field.value !== (this.#kept.get(field.name) ?? "");
    this.#say(field, "");
    if (field.validity.badInput) this.#options.drop(field.name);
    else if (isChanged) this.#options.change(field.name, field.value);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(this.save, SAVE_MS);
  };

  /** @type {(event: CustomEvent<{field: string, details: Details}>) => void} */
  #saved = ({ detail }) => {
    const field = this.#field(detail.field);
    this.#kept.set(field.name, written(detail.details[field.name]));
    if (field !== document.activeElement) this.#show(field);
    write(part(this.#element, "panel-state"), "");
    this.#say(field, text("option_saved"));
  };

  /** @type {(event: CustomEvent<{field: string, message: string | null}>) => void} */
  #refused = ({ detail }) => {
    this.#say(this.#field(detail.field), detail.message ?? text("option_refused"), true);
  };

  #away = () => {
    for (const field of this.#fields.filter(this.#isUnsaved)) this.#say(field, text("option_away"));
  };

  /** @param {Field} field */
  #show(field) {
    const kept = this.#kept.get(field.name) ?? "";
    if (field.value === kept) return;
    field.value = kept;
    this.#say(field, "");
  }

  /**
   * @param {Field} field
   * @param {string} words
   * @param {boolean} [isWrong]
   */
  #say(field, words, isWrong = false) {
    const note = find(this.#form, `[data-note=${field.name}]`);
    write(note, words);
    note.classList.toggle("panel__note--bad", isWrong);
    field.ariaInvalid = isWrong ? "true" : null;
  }
}

/**
 * Only what changes: a live region would be read out again.
 * @param {Element} element
 * @param {string} words
 */
function write(element, words) {
  if (element.textContent !== words) element.textContent = words;
}
