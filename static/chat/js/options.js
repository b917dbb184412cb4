// @ts-check
// The options of a conversation: how they stand in their fields, and what of them the portal doesn't have yet.

/**
 * @import { Conversation } from "chat/conversation"
 * @import { Requests } from "chat/requests"
 * @import { Storage } from "chat/storage"
 * @import { Details, FormErrors, Reply, TargetOf } from "chat/types"
 */

import { emit } from "chat/elements";

const START = "option.";
const NEW = "new";
const TRY_AGAIN = [0, 403, 408, 429];
/** @type {Record<string, string>} */
const ESCAPES = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * @typedef {{ name: string, conversation: string, field: string, value: string }} Change
 * @typedef {{
 *   saved: { field: string, details: Details },
 *   refused: { field: string, message: string | null },
 *   away: null,
 * }} Events
 */

/**
 * How a value of the portal's is written in its field; chat/forms.py reads it.
 * @param {unknown} value
 * @returns {string}
 */
export function written(value) {
  if (!Array.isArray(value)) return String(value ?? "");
  return value.map((one) => String(one).replace(/[\\\n\r\t]/g, (found) => ESCAPES[found])).join("\n");
}

// Holds every change until the portal has taken or refused it, also through a reload; `storage` is this tab's. One
// request at a time, with one field in each: a wrong one holds up no other, and none overtakes another.
//
// Events: "saved" (detail: {field, details}), "refused" ({field, message}), "away".
export class Options extends /** @type {TargetOf<Events>} */ (EventTarget) {
  isHeld = false; // a prompt on its way makes the conversation
  #requests;
  #storage;
  #chat;
  #conversation;
  /** @type {Promise<unknown>} */
  #work = Promise.resolve();

  /**
   * `chat`: the address under which all conversations are.
   * @param {{requests: Requests, storage: Storage, chat: string, conversation: Conversation}} parts
   */
  constructor({ requests, storage, chat, conversation }) {
    super();
    this.#requests = requests;
    this.#storage = storage;
    this.#chat = chat;
    this.#conversation = conversation;
    conversation.addEventListener("began", this.#begin);
  }

  // The new conversation has got its id, and with it what was changed before.
  #begin = () => {
    for (const { name, field, value } of this.#unsavedOf(NEW)) {
      this.#storage.remove(name);
      this.change(field, value);
    }
  };

  /**
   * @param {string} field
   * @param {string} value
   */
  change(field, value) {
    this.#storage.set(this.#name(field), value);
  }

  /** @param {string} field */
  drop(field) {
    this.#storage.remove(this.#name(field));
  }

  /**
   * What the portal doesn't have yet; null when it has everything.
   * @param {string} field
   */
  unsaved(field) {
    return this.#storage.get(this.#name(field));
  }

  /**
   * Resolves when everything is saved that can be saved now.
   * @returns {Promise<void>}
   */
  save() {
    const work = this.#work.then(this.#saveAll);
    this.#work = work;
    return work;
  }

  /**
   * → {status, json}: as the portal has them, once all that goes before is saved.
   * @returns {Promise<Reply<Details>>}
   */
  read() {
    const work = this.#work.then(() => this.#requests.get(this.#address(this.#conversation.id)));
    this.#work = work;
    return work;
  }

  #saveAll = async () => {
    const isNew = this.#conversation.id === null && !this.isHeld;
    if (isNew && this.#unsavedOf(NEW).length > 0 && !(await this.#create())) return;
    for (const change of this.#unsaved()) {
      // What another page of this tab left behind before it got a conversation waits for the next such page.
      if (change.conversation !== NEW && !(await this.#saveOne(change))) return;
    }
  };

  async #create() {
    /** @type {Reply<{ id: string }>} */
    const { status, json } = await this.#requests.post(this.#chat);
    if (status !== 201 || json === null) {
      emit(this, "away");
      return false;
    }
    // A prompt may have made one meanwhile; then this one stays empty, and is listed nowhere.
    if (this.#conversation.id === null && !this.isHeld) this.#conversation.begin(json.id);
    return true;
  }

  /**
   * @param {Change} change
   * @returns {Promise<boolean>}
   */
  async #saveOne({ name, conversation, field, value }) {
    /** @type {Reply<Details>} */
    const { status, json } = await this.#requests.post(this.#address(conversation), { [field]: value });
    const isCut = status === 200 && json === null;
    if (isCut || status >= 500 || TRY_AGAIN.includes(status)) {
      emit(this, "away");
      return false;
    }
    const isOutdated = this.#storage.get(name) !== value; // changed meanwhile; then that goes next
    if (!isOutdated) this.#storage.remove(name);
    if (isOutdated || conversation !== this.#conversation.id) return true;
    if (status === 200 && json !== null) emit(this, "saved", { field, details: json });
    else emit(this, "refused", { field, message: json?.errors?.[field] ?? null });
    return true;
  }

  /** @returns {Change[]} */
  #unsaved() {
    return this.#storage.names(START).map((name) => {
      const [, conversation, field] = name.split(".");
      return { name, conversation, field, value: this.#storage.get(name) ?? "" };
    });
  }

  /** @param {string} wanted */
  #unsavedOf(wanted) {
    return this.#unsaved().filter(({ conversation }) => conversation === wanted);
  }

  /** @param {string} field */
  #name(field) {
    return `${START}${this.#conversation.id ?? NEW}.${field}`;
  }

  /** @param {string | null} conversation */
  #address(conversation) {
    return `${this.#chat}${conversation}/details/`;
  }
}
