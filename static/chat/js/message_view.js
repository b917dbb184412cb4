// One message of the transcript: the element made by templates/chat/_message.html, brought to life.

import { action, part, show, tell } from "chat/elements";
import { grouped, showTime } from "chat/figures";
import { lengthOf } from "chat/following";
import { Prose } from "chat/prose";
import { OPEN_STATES } from "chat/protocol";
import { Receipt } from "chat/receipt";
import { text } from "chat/strings";

export class MessageView {
  element;
  isOnItsWay = false; // not accepted yet
  #stage;
  #prose = null;
  #receipt = null;

  // `stage`: the transcript, whose events tell what is wanted.
  constructor(element, stage) {
    this.element = element;
    this.#stage = stage;
    element.addEventListener("click", this.#press);
    if (!this.isAnswer) return;
    this.#prose = new Prose(this.#part("content"), this.#grown);
    this.#receipt = new Receipt(this.#part("receipt"));
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

  // The ids of this message and its siblings, the oldest first.
  get versions() {
    return versionsOf(this.element);
  }

  set versions(ids) {
    const place = ids.indexOf(this.id);
    this.element.dataset.versions = ids.join(" ");
    this.#part("versions").hidden = ids.length < 2;
    this.#part("place").textContent = `${place + 1}/${ids.length}`;
    this.#part("place").ariaLabel = text("version_of", { place: place + 1, total: ids.length });
    lead(action(this.element, "previous"), ids[place - 1]);
    lead(action(this.element, "next"), ids[place + 1]);
  }

  get source() {
    return this.isAnswer ? this.#prose.source : this.#part("content").textContent;
  }

  set speaker(name) {
    this.#part("speaker").textContent = name;
  }

  set writtenAt(moment) {
    const time = this.#part("time");
    time.dateTime = moment.toISOString();
    showTime(time);
  }

  set prompt(content) {
    this.#part("content").textContent = content;
  }

  // At a prompt that is not accepted yet, or an answer that another one is asked for; "" takes it away.
  set pending(note) {
    show(this.#part("pending"), note);
  }

  set canRetry(may) {
    for (const name of ["continue", "retry", "again"]) action(this.element, name).disabled = !may;
  }

  renderStored() {
    if (!this.isAnswer || this.isOpen) return;
    this.#prose.replace(this.#part("content").textContent);
    this.#prose.close();
  }

  begin(id, generation, state) {
    this.id = id;
    this.element.dataset.generation = generation;
    this.#setState(state);
    this.#receipt.live({ phase: "queued" });
  }

  #setState(state) {
    this.element.dataset.state = state;
    this.element.ariaBusy = this.isOpen ? "true" : null;
  }

  replace(content, reasoning) {
    this.#prose.replace(content);
    this.#part("reasoning-text").textContent = reasoning;
    this.#part("reasoning").hidden = reasoning === "";
    this.#receipt.count(lengthOf(content), lengthOf(reasoning));
  }

  // What a frame adds, and no more than that: a long answer has thousands of them.
  append(content, reasoning) {
    if (content !== "") this.#prose.append(content);
    if (reasoning !== "") this.#reason(reasoning);
    this.#receipt.countMore(lengthOf(content), lengthOf(reasoning));
  }

  status(frame) {
    this.#setState(frame.state);
    this.#receipt.live(frame);
    this.pending = frame.message ?? "";
    const turns = frame.turns_left_out;
    if (turns) show(this.#part("left-out"), text("left_out", { turns }, turns));
  }

  // The end. Returns a sentence about it, to be read out.
  finish(frame) {
    this.#prose.close();
    this.#setState(frame.state);
    this.pending = "";
    this.#receipt.freeze(frame);
    const reason = frame.message ?? "";
    this.#fail(reason, frame.code ?? "");
    if (reason !== "") return text("announce_ended", { reason });
    const tokens = frame.usage.completion_tokens;
    if (tokens === null) return text("announce_finished");
    return text("announce_finished_tokens", { tokens: grouped(tokens) }, tokens);
  }

  lose(message) {
    this.#prose.close();
    this.#receipt.stop();
    this.#setState("failed");
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
    if (this.#part("reasoning").open) this.#grown();
  }

  #grown = () => tell(this.#stage, "grown");

  #press = (event) => {
    const button = event.target.closest("[data-action]");
    const name = button?.dataset.action;
    switch (name) {
      case "continue":
      case "retry":
      case "again":
        tell(this.#stage, "retry", { view: this, type: name === "continue" ? name : "regenerate" });
        break;
      case "unqueue":
        tell(this.#stage, "unqueue", this);
        break;
      case "copy":
        tell(this.#stage, "copy", { view: this, button });
        break;
      case "previous":
      case "next":
        if (event.ctrlKey || event.metaKey || event.shiftKey) break; // into another tab
        event.preventDefault();
        if (button.dataset.version) tell(this.#stage, "version", button.dataset.version);
        break;
    }
  };

  #part(name) {
    return part(this.element, name);
  }
}

export function versionsOf(element) {
  return element.dataset.versions.split(" ").filter((id) => id !== "");
}

// A link to another version; without one it leads nowhere and says so.
function lead(link, version) {
  link.dataset.version = version ?? "";
  link.ariaDisabled = version === undefined ? "true" : null;
  if (version === undefined) link.removeAttribute("href");
  else link.href = `?message=${version}`;
}
