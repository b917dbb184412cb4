// @ts-check
// Which way through the tree of messages stands on the page: goes to another version, takes in what other tabs add, and
// loads the messages anew when something may have been missed.
//
// Events: "shown", "trouble" (detail: {status}): the messages could not be loaded, and those on the page stay.

/**
 * @import { Conversation } from "chat/conversation"
 * @import { Streams } from "chat/streams"
 * @import { ScrollPosition } from "chat/scroll_position"
 * @import { Requests } from "chat/requests"
 * @import { Transcript } from "chat/transcript"
 * @import { Page, ShownBranch, TargetOf } from "chat/types"
 * @import { AddedMessage } from "chat/wire"
 */

import { emit } from "chat/elements";

const OK = 200;

export class Branch extends /** @type {TargetOf<{ shown: null, trouble: { status: number } }>} */ (EventTarget) {
  #chat;
  #transcript;
  #streams;
  #requests;
  #scrollPosition;
  #conversation;
  #chosen = "";
  #isNewest = true;
  #updatedAt = Number.NaN;
  #isBehind = false;
  #isMixed = false; // what is on its way was written on another branch
  #loads = 0;
  /** @type {string | null} */
  #loading = null; // what is being asked for

  /** @param {{page: Page, conversation: Conversation, transcript: Transcript, streams: Streams, requests: Requests, scrollPosition: ScrollPosition}} parts */
  constructor({ page, conversation, transcript, streams, requests, scrollPosition }) {
    super();
    this.#chat = page.chat;
    this.#transcript = transcript;
    this.#streams = streams;
    this.#requests = requests;
    this.#scrollPosition = scrollPosition;
    this.#conversation = conversation;
    this.#read(page);
  }

  start() {
    this.#conversation.addEventListener("heard", this.#note);
    this.#transcript.addEventListener("version", ({ detail }) => this.show(detail));
    this.#transcript.addEventListener("left", ({ detail: view }) => this.#streams.leave(view.generation));
  }

  // Where a new prompt belongs; null = after the newest message, which stands here or is on its way to be the newest.
  get parent() {
    const isNewest = !this.#isMixed && (this.#isNewest || this.#transcript.isWaiting);
    return isNewest ? null : this.#transcript.lastId;
  }

  // What was just said here is the newest of all.
  settle() {
    this.#chosen = "";
    this.#isNewest = true;
    this.#showAddress();
    if (this.#isMixed) this.show("");
    else this.#loadAgain("");
  }

  /**
   * The branch of `message` takes the place of the one on the page, and the reader stays where the message is.
   * @param {string} [message]
   */
  async show(message = this.#chosen) {
    const status = await this.#load(message);
    this.#isMixed = this.#transcript.isWaiting;
    if (status !== OK) emit(this, "trouble", { status });
  }

  /**
   * After a hello: `listed` resolves to when something was said last, in ms; null = not lately.
   * @param {Promise<number | null>} listed
   */
  async catchUp(listed) {
    this.#isBehind = true;
    const updatedAt = await listed;
    const isMissing = this.#conversation.id !== null && updatedAt !== null && updatedAt !== this.#updatedAt;
    this.#isBehind = isMissing && (await this.#load(this.#chosen)) !== OK;
  }

  // A frame says nothing about what was missed before it.
  #note = () => {
    if (!this.#isBehind) this.#updatedAt = this.#conversation.updatedAt;
  };

  /**
   * A message that another tab brought about. `speaker`: who answers.
   * @param {AddedMessage} message
   * @param {string} speaker
   */
  add({ id, parent, role, content, created_at: createdAt, generation }, speaker) {
    if (this.#transcript.byId(id) !== null) return;
    this.#loadAgain(this.#loading);
    const before = parent === null ? null : this.#transcript.byId(parent);
    if (parent !== null && before === null) {
      this.#isNewest = false; // but that branch is
      return;
    }
    const other = this.#transcript.following(before);
    if (other !== null && this.#isNewest && role === "user") {
      this.#load(""); // was ours before it, or is it another version? The portal knows
      return;
    }
    const versions = [...(other?.versions ?? []), id];
    if (other !== null && !this.#isNewest) {
      other.versions = versions;
      return;
    }
    if (other !== null) this.#transcript.removeFrom(other);
    if (role === "assistant") {
      this.#transcript.addAnswer({ id, generation: generation ?? "", speaker, versions, createdAt, after: before });
      if (generation !== undefined) this.#streams.follow(generation);
    } else {
      this.#transcript.addPrompt(id, content, { versions, createdAt, after: before });
    }
    this.#scrollPosition.keep();
  }

  /**
   * → the answer's HTTP status.
   * @param {string} chosen
   */
  async #load(chosen) {
    this.#loads += 1;
    const load = this.#loads;
    this.#loading = chosen;
    const { status, document: page } = await this.#requests.document(this.#address(chosen));
    if (load !== this.#loads) return status;
    this.#loading = null;
    if (status !== OK || page === null) return status;
    const old = this.#transcript.versionOf(chosen)?.element;
    const before = old?.getBoundingClientRect().top;
    const { activeElement } = document;
    const pressed = old?.contains(activeElement) ? activeElement?.getAttribute("data-action") : "";
    /** @type {NodeListOf<HTMLElement>} */
    const messages = page.querySelectorAll("[data-part=messages] > [data-message-id]");
    this.#transcript.swap([...messages]);
    this.#transcript.openAnswers.forEach((view) => this.#streams.follow(view.generation));
    this.#read(JSON.parse(page.getElementById("page")?.textContent ?? ""));
    this.#showAddress();
    const shown = this.#transcript.byId(chosen);
    if (before !== undefined && shown !== null) this.#scrollPosition.keepAt(shown.element, before);
    else this.#scrollPosition.keep();
    if (pressed && shown !== null) {
      // One goes on with the same key; after the last version only the way back is left.
      /** @type {NodeListOf<HTMLAnchorElement>} */
      const found = shown.element.querySelectorAll("a[href][data-version]");
      const links = [...found];
      (links.find(({ dataset }) => dataset.action === pressed) ?? links[0])?.focus({ preventScroll: true });
    }
    emit(this, "shown");
    return status;
  }

  /**
   * A page that is on its way may not hold what was said since.
   * @param {string | null} chosen
   */
  #loadAgain(chosen) {
    if (this.#loading !== null) this.#load(chosen ?? "");
  }

  /** @param {ShownBranch} shown */
  #read({ message, is_newest: isNewest, updated_at: updatedAt }) {
    this.#chosen = message;
    this.#isNewest = isNewest;
    this.#updatedAt = Date.parse(updatedAt ?? "");
  }

  // A reload shows the same branch. Even the same address makes the browser lay out the page.
  #showAddress() {
    const address = this.#address(this.#chosen);
    if (this.#conversation.id !== null && !location.href.endsWith(address)) history.replaceState(null, "", address);
  }

  /** @param {string} chosen */
  #address(chosen) {
    const address = `${this.#chat}${this.#conversation.id}/`;
    return chosen === "" ? address : `${address}?message=${chosen}`;
  }
}
