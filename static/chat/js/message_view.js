// One message of the transcript: the element made by templates/chat/_message.html, brought to life.

import { lengthOf } from "chat/fingerprint";
import { Prose } from "chat/prose";
import { OPEN_STATES } from "chat/protocol";
import { Receipt } from "chat/receipt";
import { text } from "chat/strings";
import { showTime } from "chat/times";

export class MessageView extends EventTarget {
  element;
  #prose = null;
  #receipt = null;

  constructor(element) {
    super();
    this.element = element;
    if (!this.isAnswer) return;
    this.#prose = new Prose(this.#part("content"));
    this.#prose.addEventListener("grown", () => this.dispatchEvent(new CustomEvent("grown")));
    this.#receipt = new Receipt(this.#part("receipt"));
    this.element.querySelector("[data-action=retry]").addEventListener("click", this.#retry);
  }

  get isAnswer() {
    return this.element.dataset.role === "assistant";
  }

  get isOpen() {
    return this.isAnswer && OPEN_STATES.includes(this.element.dataset.state);
  }

  get generation() {
    return this.element.dataset.generation;
  }

  get id() {
    return this.element.dataset.messageId;
  }

  set id(value) {
    this.element.dataset.messageId = value;
  }

  set speaker(name) {
    this.#part("speaker").textContent = name;
  }

  set writtenAt(moment) {
    const time = this.#part("time");
    time.dateTime = moment.toISOString();
    showTime(time);
  }

  // A prompt's text stays as it was typed.
  set prompt(content) {
    this.#part("content").textContent = content;
  }

  // At a prompt that is not accepted yet, or an answer that another one is asked for; "" takes it away.
  set pending(note) {
    const pending = this.#part("pending") ?? this.#addPending();
    pending.textContent = note;
    pending.hidden = note === "";
  }

  // Whether another answer may be asked for.
  set canRetry(may) {
    if (this.isAnswer) this.element.querySelector("[data-action=retry]").disabled = !may;
  }

  // Renders a text that came with the page.
  renderStored() {
    if (!this.isAnswer || this.isOpen) return;
    this.#prose.replace(this.#part("content").textContent);
    this.#prose.close();
  }

  // A new generation begins to write this answer.
  begin(id, generation, state) {
    this.id = id;
    this.element.dataset.generation = generation;
    this.setState(state);
    this.#receipt.live({ phase: "queued" });
  }

  setState(state) {
    this.element.dataset.state = state;
    this.element.ariaBusy = this.isOpen ? "true" : null;
  }

  replace(content, reasoning) {
    this.#prose.replace(content);
    this.#part("reasoning-text").textContent = reasoning;
    this.#part("reasoning").hidden = reasoning === "";
    this.#receipt.count(lengthOf(content));
  }

  // What a frame adds, and no more than that: a long answer has thousands of them.
  append(content, reasoning) {
    if (content !== "") this.#prose.append(content);
    if (reasoning !== "") this.#reason(reasoning);
    this.#receipt.countMore(lengthOf(content));
  }

  status(frame) {
    this.setState(frame.state);
    this.#receipt.live(frame);
    if (frame.turns_left_out) {
      const leftOut = this.#part("left-out");
      leftOut.textContent = text("left_out", { turns: frame.turns_left_out }, frame.turns_left_out);
      leftOut.hidden = false;
    }
  }

  // The end. Returns a sentence about it, to be read out.
  finish(frame) {
    this.#prose.close();
    this.setState(frame.state);
    this.#receipt.freeze(frame);
    const reason = reasonOf(frame);
    this.#fail(reason, frame.code ?? "");
    return reason === "" ? text("announce_finished", { tokens: this.#receipt.tokens }) : text("announce_ended", { reason });
  }

  // The portal doesn't know this answer any more.
  lose(message) {
    this.#prose.close();
    this.#receipt.stop();
    this.setState("failed");
    this.#part("receipt").hidden = true;
    this.#fail(message, "");
  }

  remove() {
    this.#receipt?.stop();
    this.element.remove();
  }

  #fail(reason, code) {
    this.#part("failure").hidden = reason === "";
    this.#part("reason").textContent = reason;
    this.#part("code").textContent = code;
  }

  #reason(added) {
    const reasoning = this.#part("reasoning-text");
    if (reasoning.firstChild === null) reasoning.append(added);
    else reasoning.firstChild.appendData(added);
    this.#part("reasoning").hidden = false;
  }

  #addPending() {
    const pending = document.createElement("p");
    pending.className = "message__pending";
    pending.dataset.part = "pending";
    pending.role = "status";
    this.#part("failure").after(pending);
    return pending;
  }

  #retry = () => {
    this.dispatchEvent(new CustomEvent("retry"));
  };

  #part(name) {
    return this.element.querySelector(`[data-part=${name}]`);
  }
}

function reasonOf({ state, code, message }) {
  if (state === "stopped") return text("stopped");
  if (code) return message ?? code;
  return state === "interrupted" ? text("interrupted") : "";
}
