// Where one writes. Keeps the draft of each conversation, and says what can't be sent before it is sent.
//
// Events: "send" (detail: {text, model}), "stop", "chosen" (detail: {isLocal}).

import { grouped } from "chat/figures";
import { text } from "chat/strings";

const DRAFT_MS = 300;

export class Composer extends EventTarget {
  #form;
  #box;
  #select;
  #problem;
  #drafts;
  #conversation;
  #limit;
  #isBusy = false;
  #canStop = false;
  #timer = null;
  #kept = "";

  constructor(form, { drafts, conversation, limit }) {
    super();
    this.#form = form;
    this.#box = form.elements.prompt;
    this.#select = form.elements.model ?? null;
    this.#problem = form.querySelector("[data-part=problem]");
    this.#drafts = drafts;
    this.#conversation = conversation;
    this.#limit = limit;
  }

  start() {
    this.#form.addEventListener("submit", this.#submit);
    this.#box.addEventListener("keydown", this.#press);
    this.#box.addEventListener("input", this.#type);
    this.#select?.addEventListener("change", this.#choose);
    this.#form.querySelector("[data-action=stop]").addEventListener("click", this.#stop);
    addEventListener("pagehide", this.#keepDraft);
    // A browser that brings a form back may have put a text in already; that one is newer.
    if (this.#box.value === "") this.#box.value = this.#drafts.get(this.#draftName) ?? "";
    this.#kept = this.#box.value;
    // Until here nothing would have taken a prompt.
    this.#box.readOnly = false;
    if (matchMedia("(hover: hover)").matches) this.#box.focus();
  }

  stop() {
    this.#form.removeEventListener("submit", this.#submit);
    this.#box.removeEventListener("keydown", this.#press);
    this.#box.removeEventListener("input", this.#type);
    this.#select?.removeEventListener("change", this.#choose);
    this.#form.querySelector("[data-action=stop]").removeEventListener("click", this.#stop);
    removeEventListener("pagehide", this.#keepDraft);
    this.#keepDraft();
  }

  // The label of the model that is chosen; "" when there is no choice.
  get modelLabel() {
    return this.#select?.selectedOptions[0].label ?? "";
  }

  // The model that is chosen; null when there is no choice.
  get model() {
    return this.#select?.value ?? null;
  }

  // Busy: the next prompt has to wait. There is something to stop only once it was accepted.
  setBusy(isBusy, canStop) {
    if (this.#isBusy && !isBusy) this.say("");
    this.#isBusy = isBusy;
    this.#canStop = canStop;
    this.#form.querySelector("[data-action=stop]").hidden = !canStop;
    this.#form.querySelector("[data-action=send]").disabled = isBusy;
  }

  // The new conversation has got its id.
  set conversation(id) {
    if (this.#kept !== "") this.#drafts.remove(this.#draftName);
    this.#conversation = id;
    this.#keepDraft();
  }

  // What was not taken comes back, before anything written meanwhile.
  giveBack(prompt, reason) {
    this.#box.value = before(prompt, this.#box.value);
    this.#keepDraft();
    this.say(reason);
    this.#box.focus();
  }

  // The same for another conversation than the page's: it waits there as the draft.
  leave(conversation, prompt) {
    const name = draftName(conversation);
    this.#drafts.set(name, before(prompt, this.#drafts.get(name) ?? ""));
  }

  say(problem) {
    this.#problem.textContent = problem;
    this.#problem.hidden = problem === "";
  }

  get #draftName() {
    return draftName(this.#conversation);
  }

  #submit = (event) => {
    event.preventDefault();
    const prompt = this.#box.value;
    if (prompt.trim() === "") return;
    if (this.#isBusy) {
      this.say(text("wait_for_answer"));
      return;
    }
    const size = new TextEncoder().encode(prompt).length;
    if (size > this.#limit) {
      const kib = (bytes) => grouped(Math.ceil(bytes / 1024));
      this.say(text("too_long", { size: kib(size), limit: kib(this.#limit) }));
      return;
    }
    this.say("");
    this.#box.value = "";
    this.#keepDraft();
    this.dispatchEvent(new CustomEvent("send", { detail: { text: prompt, model: this.model } }));
  };

  #press = (event) => {
    if (event.key === "Escape" && this.#canStop) this.#stop();
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#form.requestSubmit();
  };

  #type = () => {
    this.say("");
    this.#timer ??= setTimeout(this.#keepDraft, DRAFT_MS);
  };

  #choose = () => {
    const isLocal = "local" in this.#select.selectedOptions[0].dataset;
    this.dispatchEvent(new CustomEvent("chosen", { detail: { isLocal } }));
  };

  #stop = () => {
    this.dispatchEvent(new CustomEvent("stop"));
  };

  #keepDraft = () => {
    clearTimeout(this.#timer);
    this.#timer = null;
    const written = this.#box.value;
    if (written !== "") this.#drafts.set(this.#draftName, written);
    else if (this.#kept !== "") this.#drafts.remove(this.#draftName); // otherwise it is another tab's
    this.#kept = written;
  };
}

function draftName(conversation) {
  return `draft.${conversation ?? "new"}`;
}

function before(prompt, written) {
  return written === "" || written === prompt ? prompt : `${prompt}\n\n${written}`;
}
