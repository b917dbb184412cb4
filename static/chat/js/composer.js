// @ts-check
// Where one writes. Keeps the drafts, and says in time what can't be sent.
//
// Events: "send" (detail: {text, model}), "stop", "changed": the text, perhaps, or the model.

/**
 * @import { Conversation } from "chat/conversation"
 * @import { Storage } from "chat/storage"
 * @import { TargetOf } from "chat/types"
 * @import { ModelChoice } from "chat/wire"
 */

import { action, emit, part, show } from "chat/elements";
import { grouped } from "chat/figures";
import { text } from "chat/strings";

const DRAFT_MS = 300;
const NEAR = 0.8;
const BYTES_OF_A_UNIT = 3; // of UTF-16, at most, as UTF-8

/** @typedef {{ send: { text: string, model: string | null }, stop: null, changed: null }} Events */

export class Composer extends /** @type {TargetOf<Events>} */ (EventTarget) {
  #form;
  #box;
  #select;
  #drafts;
  #conversation;
  #limit;
  #isBlocked = false;
  #canStop = false;
  #growsByItself = CSS.supports("field-sizing", "content");
  /** @type {Map<string, HTMLOptionElement>} */
  #options = new Map();
  #begun = "";
  /** @type {number | null} */
  #timer = null;
  #kept = "";

  /**
   * @param {HTMLFormElement} form
   * @param {{drafts: Storage, conversation: Conversation, limit: number}} parts
   */
  constructor(form, { drafts, conversation, limit }) {
    super();
    this.#form = form;
    this.#box = /** @type {HTMLTextAreaElement} */ (form.elements.namedItem("prompt"));
    this.#select = /** @type {HTMLSelectElement} */ (form.elements.namedItem("model"));
    this.#drafts = drafts;
    this.#conversation = conversation;
    this.#limit = limit;
  }

  start() {
    this.#conversation.addEventListener("began", this.#moveDraft);
    this.#form.addEventListener("submit", this.#submit);
    this.#box.addEventListener("keydown", this.#press);
    this.#box.addEventListener("input", this.#type);
    this.#select.addEventListener("change", () => this.#fit());
    this.#button("stop").addEventListener("click", this.#stop);
    addEventListener("pagehide", this.#keepDraft);
    // A text that the browser has brought back is newer.
    if (this.#box.value === "") this.#box.value = this.#drafts.get(this.#draftName) ?? "";
    this.#kept = this.#box.value;
    // Until here nothing would have taken a prompt.
    this.#box.readOnly = false;
    this.#button("send").disabled = false;
    this.#fit();
    this.focus();
  }

  get chosen() {
    return this.#select.selectedOptions[0].dataset;
  }

  get model() {
    return this.#hasChoice ? this.#select.value : null;
  }

  /**
   * As {id, label, note}; the choice stays if it can.
   * @param {ModelChoice[]} models
   */
  set models(models) {
    const shown = [...this.#select.options];
    for (const option of shown) this.#options.set(option.value, option);
    const options = models.map(({ id, label, note }) => {
      const option = this.#options.get(id) ?? new Option("", id);
      option.dataset.label = label;
      option.textContent = note ? `${label} · ${note}` : label;
      return option;
    });
    const isNew = options.length !== shown.length || options.some((option, place) => option !== shown[place]);
    if (options.length === 0) return;
    this.#part("only-model").textContent = options[0].label;
    if (isNew) this.#offer(options);
  }

  /** @param {boolean} canStop */
  setRunning(canStop) {
    this.#canStop = canStop;
    this.#button("stop").hidden = !canStop;
    const word = text(canStop ? "queue" : "send");
    this.#button("send").ariaLabel = word;
    this.#part("send-word").textContent = word;
  }

  /**
   * A new conversation takes the next prompt once the first is accepted.
   * @param {boolean} isBlocked
   */
  setBlocked(isBlocked) {
    if (this.#isBlocked && !isBlocked) this.say("");
    this.#isBlocked = isBlocked;
    this.#fit();
  }

  #moveDraft = () => {
    if (this.#kept !== "") this.#drafts.remove(draftName(null));
    this.#keepDraft();
  };

  /**
   * A prompt to start from; it comes before what is written already.
   * @param {string} prompt
   */
  begin(prompt) {
    const written = this.#box.value === this.#begun ? "" : this.#box.value;
    this.#begun = `${prompt}\n\n`;
    this.#box.value = written.startsWith(this.#begun) ? written : this.#begun + written;
    this.#changed();
    this.#box.focus({ preventScroll: true });
    this.#box.setSelectionRange(this.#box.value.length, this.#box.value.length);
  }

  /**
   * What was not taken, before anything written meanwhile.
   * @param {string} prompt
   * @param {string} reason
   */
  giveBack(prompt, reason) {
    this.#box.value = before(prompt, this.#box.value);
    this.#changed();
    this.say(reason);
    this.#box.focus({ preventScroll: true });
  }

  /**
   * The same for another conversation: it waits there as the draft.
   * @param {string | null} conversation
   * @param {string} prompt
   */
  leave(conversation, prompt) {
    const name = draftName(conversation);
    this.#drafts.set(name, before(prompt, this.#drafts.get(name) ?? ""));
  }

  /** @param {string} problem */
  say(problem) {
    show(this.#part("problem"), problem);
  }

  get #draftName() {
    return draftName(this.#conversation.id);
  }

  get #hasChoice() {
    return this.#select.options.length > 1;
  }

  /** @param {string} name */
  #part(name) {
    return part(this.#form, name);
  }

  /** @param {string} name */
  #button(name) {
    return action(this.#form, name);
  }

  // After the first prompt.
  goOn() {
    this.#box.placeholder = this.#box.dataset.next ?? "";
  }

  // Not on phones, where the keyboard would cover the text.
  focus() {
    if (matchMedia("(hover: hover)").matches) this.#box.focus({ preventScroll: true });
  }

  /** @param {HTMLOptionElement[]} options */
  #offer(options) {
    const [before] = this.#select.selectedOptions;
    this.#select.replaceChildren(...options);
    const isGone = !options.includes(before);
    this.#select.value = isGone ? options[0].value : before.value;
    this.#part("models").hidden = !this.#hasChoice;
    this.#part("only-model").hidden = this.#hasChoice;
    if (!isGone) return;
    this.say(text("model_gone", { model: before.dataset.label, chosen: options[0].dataset.label }));
    this.#fit();
  }

  /** @type {(event: SubmitEvent) => void} */
  #submit = (event) => {
    event.preventDefault();
    const prompt = this.#box.value;
    if (prompt.trim() === "") return;
    if (this.#isBlocked) {
      this.say(text("wait_for_first"));
      return;
    }
    if (this.#measure() > this.#limit) return;
    this.say("");
    this.#box.value = "";
    this.#changed();
    this.focus();
    emit(this, "send", { text: prompt, model: this.model });
  };

  /** @type {(event: KeyboardEvent) => void} */
  #press = (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape" && !event.shiftKey && this.#canStop) this.#stop();
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    this.#form.requestSubmit();
  };

  #type = () => {
    this.say("");
    this.#fit();
    this.#timer ??= setTimeout(this.#keepDraft, DRAFT_MS);
  };

  #stop = () => emit(this, "stop");

  #changed() {
    this.#fit();
    this.#keepDraft();
  }

  #fit() {
    if (!this.#growsByItself) {
      this.#box.style.blockSize = "auto";
      this.#box.style.blockSize = `${this.#box.scrollHeight}px`;
    }
    const isIdle = this.#isBlocked || this.#box.value.trim() === "";
    this.#button("send").ariaDisabled = isIdle ? "true" : null;
    this.#measure();
    emit(this, "changed");
  }

  // → bytes, or 0 while they are far from the limit.
  #measure() {
    const written = this.#box.value;
    const near = this.#limit * NEAR;
    const size = written.length * BYTES_OF_A_UNIT > near ? new TextEncoder().encode(written).length : 0;
    const kib = (/** @type {number} */ bytes) => grouped(Math.ceil(bytes / 1024));
    const figures = { size: kib(size), limit: kib(this.#limit) };
    const words = size > near && size <= this.#limit ? text("near_limit", figures) : "";
    const note = this.#part("size");
    if (note.textContent !== words) show(note, words);
    if (size > this.#limit) this.say(text("too_long", figures));
    return size;
  }

  #keepDraft = () => {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const written = this.#box.value;
    if (written !== "") this.#drafts.set(this.#draftName, written);
    else if (this.#kept !== "") this.#drafts.remove(this.#draftName); // otherwise it is another tab's
    this.#kept = written;
  };
}

/** @param {string | null} conversation */
function draftName(conversation) {
  return `draft.${conversation ?? "new"}`;
}

/**
 * @param {string} prompt
 * @param {string} written
 */
function before(prompt, written) {
  return written === "" || written === prompt ? prompt : `${prompt}\n\n${written}`;
}
