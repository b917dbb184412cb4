// @ts-check
// The conversation on the page, as the portal knows it; null as its id while nothing has been said.
//
// Events: "began" (it has got its id), "changed" (title, model, time or whether it is deleted), "heard" (a frame has given
// the time).

/**
 * @import { TargetOf } from "chat/types"
 * @import { ConversationChangedFrame } from "chat/wire"
 */

import { emit } from "chat/elements";

/** @typedef {{ began: null, changed: null, heard: null }} Events */

export class Conversation extends /** @type {TargetOf<Events>} */ (EventTarget) {
  /** @type {string | null} */
  #id;
  title = "";
  /** @type {string | null} */
  model = null; // the id of the one that answers
  updatedAt = Number.NaN; // when something was said last, in ms
  isDeleted = false;

  /** @param {string | null} id */
  constructor(id) {
    super();
    this.#id = id;
  }

  get id() {
    return this.#id;
  }

  /** @param {string} id */
  begin(id) {
    if (this.#id !== null) return;
    this.#id = id;
    emit(this, "began");
  }

  /** @param {string} title */
  rename(title) {
    this.title = title;
    emit(this, "changed");
  }

  /**
   * What became of a conversation, here or in another tab.
   * @param {ConversationChangedFrame} frame
   */
  apply({ conversation, deleted }) {
    if (conversation.id !== this.#id) return;
    this.isDeleted = deleted;
    if ("title" in conversation) {
      this.title = conversation.title;
      this.model = conversation.model;
      this.updatedAt = Date.parse(conversation.updated_at);
      emit(this, "heard");
    }
    emit(this, "changed");
  }
}
