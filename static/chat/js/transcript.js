// The messages on the page, in their order. Makes new ones from the server's own template.
//
// Events: "retry" (detail: the answer's view), "grown".

import { MessageView } from "chat/message_view";
import { showTimes } from "chat/times";

export class Transcript extends EventTarget {
  #element;
  #moulds;
  #views = [];

  // `moulds`: role → <template>.
  constructor(element, moulds) {
    super();
    this.#element = element;
    this.#moulds = moulds;
  }

  start() {
    showTimes(this.#element);
    for (const element of this.#element.querySelectorAll("[data-message-id]")) {
      this.#adopt(element).renderStored();
    }
  }

  get openAnswers() {
    return this.#views.filter((view) => view.isOpen);
  }

  get isEmpty() {
    return this.#views.length === 0;
  }

  // Whether another answer may be asked for.
  set canRetry(may) {
    for (const view of this.#views) view.canRetry = may;
  }

  byId(id) {
    return this.#views.find((view) => view.id === id) ?? null;
  }

  byGeneration(generation) {
    return this.#views.find((view) => view.isAnswer && view.generation === generation) ?? null;
  }

  // A prompt that is on its way; its key stands in for its id.
  addPrompt(key, content) {
    const view = this.#make("user");
    view.id = key;
    view.prompt = content;
    return view;
  }

  addAnswer(id, generation, state, speaker) {
    const view = this.#make("assistant");
    view.speaker = speaker;
    view.begin(id, generation, state);
    return view;
  }

  // Takes `view` and all that follows it off the page: they are on another branch now.
  removeFrom(view) {
    const index = this.#views.indexOf(view);
    if (index >= 0) this.#views.splice(index).forEach((one) => one.remove());
  }

  #make(role) {
    const element = this.#moulds[role].content.querySelector("[data-message-id]").cloneNode(true);
    this.#element.append(element);
    const view = this.#adopt(element);
    view.writtenAt = new Date();
    return view;
  }

  #adopt(element) {
    const view = new MessageView(element);
    view.addEventListener("retry", () => this.dispatchEvent(new CustomEvent("retry", { detail: view })));
    view.addEventListener("grown", () => this.dispatchEvent(new CustomEvent("grown")));
    this.#views.push(view);
    return view;
  }
}
