// @ts-check
// The messages on the page, in their order. Makes new ones from the server's own template.
//
// Events: "retry", "version" (detail: its id), "unqueue", "copy" (detail: {view, button}), "left" (an answer is taken off
// the page while it runs), "grown". Where nothing else is said, detail is the message's view.

/**
 * @import { TargetOf } from "chat/types"
 */

import { copyOf, emit } from "chat/elements";
import { showTimes } from "chat/figures";
import { MessageView, versionsOf } from "chat/message_view";

/**
 * @typedef {{
 *   id: string, generation: string, state?: string, speaker: string, versions: string[], createdAt?: string | null,
 *   after: MessageView | null,
 * }} NewAnswer
 * @typedef {{
 *   retry: { view: MessageView, type: "continue" | "regenerate" },
 *   version: string,
 *   unqueue: MessageView,
 *   copy: { view: MessageView, button: HTMLElement },
 *   left: MessageView,
 *   grown: null,
 * }} Events
 */

export class Transcript extends /** @type {TargetOf<Events>} */ (EventTarget) {
  #element;
  #templates;
  /** @type {MessageView[]} */
  #views = [];

  /**
   * `templates`: role → <template>.
   * @param {HTMLElement} element
   * @param {Record<string, HTMLTemplateElement>} templates
   */
  constructor(element, templates) {
    super();
    this.#element = element;
    this.#templates = templates;
  }

  start() {
    /** @type {NodeListOf<HTMLElement>} */
    const messages = this.#element.querySelectorAll("[data-message-id]");
    this.#adoptAll([...messages]);
  }

  get openAnswers() {
    return this.#views.filter((view) => view.isOpen);
  }

  get isEmpty() {
    return this.#views.length === 0;
  }

  // The id of the last message that the portal knows; null without one.
  get lastId() {
    return this.#views.findLast((view) => !view.isOnItsWay)?.id ?? null;
  }

  // Whether a prompt is on its way.
  get isWaiting() {
    return this.#views.at(-1)?.isOnItsWay ?? false;
  }

  /** @param {(view: MessageView) => void} act */
  forEachAnswer(act) {
    this.#views.filter((view) => view.isAnswer).forEach(act);
  }

  /** @param {string} id */
  byId(id) {
    return this.#views.find((view) => view.id === id) ?? null;
  }

  /** @param {string} generation */
  byGeneration(generation) {
    // From the end: a long answer asks thousands of times, and is the last one.
    return this.#views.findLast((view) => view.isAnswer && view.generation === generation) ?? null;
  }

  /** @param {string} id */
  versionOf(id) {
    return this.#views.find((view) => view.versions.includes(id)) ?? null;
  }

  /**
   * The message after `view`, or the first one for null; null when there is none that the portal knows.
   * @param {MessageView | null} view
   */
  following(view) {
    const next = this.#views[view === null ? 0 : this.#views.indexOf(view) + 1];
    return next === undefined || next.isOnItsWay ? null : next;
  }

  /**
   * A prompt; while it is on its way its key stands in for its id.
   * @param {string} id
   * @param {string} content
   * @param {{versions?: string[], createdAt?: string | null, after?: MessageView | null}} [options]
   */
  addPrompt(id, content, { versions = [], createdAt = null, after = this.#views.at(-1) ?? null } = {}) {
    const view = this.#make("user", after, createdAt);
    view.id = id;
    view.prompt = content;
    view.versions = versions;
    view.isOnItsWay = versions.length === 0;
    return view;
  }

  /** @param {NewAnswer} answer */
  addAnswer({ id, generation, state = "queued", speaker, versions, createdAt = null, after }) {
    const view = this.#make("assistant", after, createdAt);
    view.speaker = speaker;
    view.begin(id, generation, state);
    view.versions = versions;
    return view;
  }

  /**
   * Takes `view` and all that follows it off the page, but for prompts on their way: it is on another branch now.
   * @param {MessageView} view
   */
  removeFrom(view) {
    const index = this.#views.indexOf(view);
    if (index < 0) return;
    for (const one of this.#views.splice(index)) {
      if (one !== view && one.isOnItsWay) this.#views.push(one);
      else this.#drop(one);
    }
  }

  /**
   * The messages of the portal's own page, as elements, take the place of those here. What stands here already stays,
   * and so do prompts that are on their way.
   * @param {HTMLElement[]} elements
   */
  swap(elements) {
    const ids = elements.map((element) => element.dataset.messageId);
    const waiting = this.#views.filter((view) => view.isOnItsWay);
    this.#views = this.#views.filter((view) => !view.isOnItsWay);
    const other = this.#views.findIndex((view, index) => view.id !== ids[index]);
    const kept = other < 0 ? this.#views.length : other;
    this.#views.splice(kept).forEach((view) => this.#drop(view));
    this.#views.forEach((view, index) => {
      view.versions = versionsOf(elements[index]);
    });
    const next = waiting[0]?.element ?? null;
    const added = elements.slice(kept);
    added.forEach((element) => this.#element.insertBefore(element, next)); // out of the other document
    this.#adoptAll(added);
    this.#views.push(...waiting);
  }

  /** @param {MessageView} view */
  #drop(view) {
    if (view.isOpen) emit(this, "left", view);
    view.remove();
  }

  /**
   * @param {string} role
   * @param {MessageView | null} after
   * @param {string | null} createdAt
   */
  #make(role, after, createdAt) {
    const element = copyOf(this.#templates[role].content);
    if (after === null) this.#element.prepend(element);
    else after.element.after(element);
    const view = this.#adopt(element, after === null ? 0 : this.#views.indexOf(after) + 1);
    view.writtenAt = createdAt === null ? new Date() : new Date(createdAt);
    return view;
  }

  /** @param {HTMLElement[]} elements */
  #adoptAll(elements) {
    for (const element of elements) {
      showTimes(element);
      this.#adopt(element, this.#views.length).renderStored();
    }
  }

  /**
   * @param {HTMLElement} element
   * @param {number} index
   */
  #adopt(element, index) {
    const view = new MessageView(element, this);
    requestAnimationFrame(() => requestAnimationFrame(() => element.classList.add("message--drawn")));
    this.#views.splice(index, 0, view);
    return view;
  }
}
