// @ts-check
// One message of the transcript: the element made by templates/chat/_message.html, brought to life.

/**
 * @import { Progress } from "chat/receipt"
 * @import { Transcript } from "chat/transcript"
 * @import { FinishedFrame } from "chat/wire"
 */

import { action, emit, part, show, targetOf } from "chat/elements";
import { grouped, showTime } from "chat/figures";
import { Prose } from "chat/prose";
import { OPEN_STATES } from "chat/protocol";
import { Receipt } from "chat/receipt";
import { lengthOf } from "chat/stream";
import { text } from "chat/strings";

export class MessageView {
  element;
  isOnItsWay = false; // not accepted yet
  #transcript;
  /** @type {Prose | null} */
  #prose = null;
  /** @type {Receipt | null} */
  #receipt = null;

  /**
   * `transcript`: the transcript, whose events emit what is wanted.
   * @param {HTMLElement} element
   * @param {Transcript} transcript
   */
  constructor(element, transcript) {
    this.element = element;
    this.#transcript = transcript;
    element.addEventListener("click", this.#press);
    if (!this.isAnswer) return;
    this.#prose = new Prose(this.#part("content"), this.#grown);
    this.#receipt = new Receipt(/** @type {HTMLDetailsElement} */ (this.#part("receipt")));
  }

  get isAnswer() {
    return this.element.dataset.role === "assistant";
  }

  get isOpen() {
    return this.isAnswer && OPEN_STATES.includes(this.element.dataset.state ?? "");
  }

  get generation() {
    return this.element.dataset.generation ?? "";
  }

  get id() {
    return this.element.dataset.messageId ?? "";
  }

  /** @param {string} value */
  set id(value) {
    this.element.dataset.messageId = value;
  }

  // The ids of this message and its siblings, the oldest first.
  get versions() {
    return versionsOf(this.element);
  }

  /** @param {string[]} ids */
  set versions(ids) {
    const place = ids.indexOf(this.id);
    this.element.dataset.versions = ids.join(" ");
    this.#part("versions").hidden = ids.length < 2;
    this.#part("place").textContent = `${place + 1}/${ids.length}`;
    this.#part("place").ariaLabel = text("version_of", { place: place + 1, total: ids.length });
    this.#lead("previous", ids[place - 1]);
    this.#lead("next", ids[place + 1]);
  }

  get source() {
    return this.#prose === null ? this.#part("content").textContent : this.#prose.source;
  }

  /** @param {string} name */
  set speaker(name) {
    this.#part("speaker").textContent = name;
  }

  /** @param {Date} moment */
  set writtenAt(moment) {
    const time = /** @type {HTMLTimeElement} */ (this.#part("time"));
    time.dateTime = moment.toISOString();
    showTime(time);
  }

  /** @param {string} content */
  set prompt(content) {
    this.#part("content").textContent = content;
  }

  /**
   * At a prompt that is not accepted yet, or an answer that another one is asked for; "" takes it away.
   * @param {string} note
   */
  set pending(note) {
    show(this.#part("pending"), note);
  }

  /** @param {boolean} may */
  set canRetry(may) {
    for (const name of ["continue", "retry", "again"]) action(this.element, name).disabled = !may;
  }

  renderStored() {
    if (!this.isAnswer || this.isOpen) return;
    this.#prose?.replace(this.#part("content").textContent);
    this.#prose?.close();
  }

  /**
   * @param {string} id
   * @param {string} generation
   * @param {string} state
   */
  begin(id, generation, state) {
    this.id = id;
    this.element.dataset.generation = generation;
    this.#setState(state);
    this.#receipt?.live({ phase: "queued" });
  }

  /** @param {string} state */
  #setState(state) {
    this.element.dataset.state = state;
    this.element.ariaBusy = this.isOpen ? "true" : null;
  }

  /**
   * @param {string} content
   * @param {string} reasoning
   */
  replace(content, reasoning) {
    this.#prose?.replace(content);
    this.#part("reasoning-text").textContent = reasoning;
    this.#part("reasoning").hidden = reasoning === "";
    this.#receipt?.count(lengthOf(content), lengthOf(reasoning));
  }

  /**
   * What a frame adds, and no more than that: a long answer has thousands of them.
   * @param {string} content
   * @param {string} reasoning
   */
  append(content, reasoning) {
    if (content !== "") this.#prose?.append(content);
    if (reasoning !== "") this.#reason(reasoning);
    this.#receipt?.countMore(lengthOf(content), lengthOf(reasoning));
  }

  /** @param {Progress} frame */
  status(frame) {
    if (frame.state !== undefined) this.#setState(frame.state);
    this.#receipt?.live(frame);
    this.pending = frame.message ?? "";
    const turns = frame.turns_left_out;
    if (turns) show(this.#part("left-out"), text("left_out", { turns }, turns));
  }

  /**
   * The end. Returns a sentence about it, to be read out.
   * @param {FinishedFrame} frame
   * @returns {string}
   */
  finish(frame) {
    this.#prose?.close();
    this.#setState(frame.state);
    this.pending = "";
    this.#receipt?.freeze(frame);
    const reason = frame.message ?? "";
    this.#fail(reason, frame.code ?? "");
    if (reason !== "") return text("announce_ended", { reason });
    const tokens = frame.usage.completion_tokens;
    if (tokens === null) return text("announce_finished");
    return text("announce_finished_tokens", { tokens: grouped(tokens) }, tokens);
  }

  /** @param {string} message */
  lose(message) {
    this.#prose?.close();
    this.#receipt?.stop();
    this.#setState("failed");
    this.#part("receipt").hidden = true;
    this.#fail(message, "");
  }

  remove() {
    this.#receipt?.stop();
    this.element.remove();
  }

  /**
   * @param {string} reason
   * @param {string} code
   */
  #fail(reason, code) {
    this.#part("failure").hidden = reason === "";
    this.#part("reason").textContent = reason;
    this.#part("code").textContent = code;
  }

  /** @param {string} added */
  #reason(added) {
    const reasoning = this.#part("reasoning-text");
    const node = /** @type {Text | null} */ (reasoning.firstChild);
    if (node === null) reasoning.append(added);
    else node.appendData(added);
    const fold = /** @type {HTMLDetailsElement} */ (this.#part("reasoning"));
    fold.hidden = false;
    if (fold.open) this.#grown();
  }

  #grown = () => emit(this.#transcript, "grown");

  /** @type {(event: MouseEvent) => void} */
  #press = (event) => {
    /** @type {HTMLElement | null} */
    const button = targetOf(event).closest("[data-action]");
    if (button === null) return;
    const name = button.dataset.action;
    switch (name) {
      case "continue":
      case "retry":
      case "again":
        emit(this.#transcript, "retry", { view: this, type: name === "continue" ? name : "regenerate" });
        break;
      case "unqueue":
        emit(this.#transcript, "unqueue", this);
        break;
      case "copy":
        emit(this.#transcript, "copy", { view: this, button });
        break;
      case "previous":
      case "next":
        if (event.ctrlKey || event.metaKey || event.shiftKey) break; // into another tab
        event.preventDefault();
        if (button.dataset.version) emit(this.#transcript, "version", button.dataset.version);
        break;
    }
  };

  /**
   * A link to another version; without one it leads nowhere and says so.
   * @param {"previous" | "next"} name
   * @param {string | undefined} version
   */
  #lead(name, version) {
    /** @type {HTMLAnchorElement} */
    const link = action(this.element, name);
    link.dataset.version = version ?? "";
    link.ariaDisabled = version === undefined ? "true" : null;
    if (version === undefined) link.removeAttribute("href");
    else link.href = `?message=${version}`;
  }

  /** @param {string} name */
  #part(name) {
    return part(this.element, name);
  }
}

/**
 * @param {HTMLElement} element
 * @returns {string[]}
 */
export function versionsOf(element) {
  return (element.dataset.versions ?? "").split(" ").filter((id) => id !== "");
}
