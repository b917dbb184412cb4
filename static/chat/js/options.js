// The options of a conversation: how they stand in their fields, and what of them the portal doesn't have yet.

import { tell } from "chat/elements";

const START = "option.";
const NEW = "new";
const TRY_AGAIN = [0, 403, 408, 429];
const ESCAPES = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

// How a value of the portal's is written in its field; chat/forms.py reads it.
export function written(value) {
  if (!Array.isArray(value)) return String(value ?? "");
  return value.map((one) => one.replace(/[\\\n\r\t]/g, (found) => ESCAPES[found])).join("\n");
}

// Holds every change until the portal has taken or refused it, also through a reload; `storage` is this tab's. One
// request at a time, with one field in each: a wrong one holds up no other, and none overtakes another.
//
// Events: "saved" (detail: {field, details}), "refused" ({field, message}), "away", "created" ({id, address}).
export class Options extends EventTarget {
  isHeld = false; // a prompt on its way makes the conversation
  #requests;
  #storage;
  #chat;
  #conversation;
  #work = Promise.resolve();

  // `chat`: the address under which all conversations are; `conversation` null = not there yet.
  constructor({ requests, storage, chat, conversation }) {
    super();
    this.#requests = requests;
    this.#storage = storage;
    this.#chat = chat;
    this.#conversation = conversation;
  }

  get conversation() {
    return this.#conversation;
  }

  // The new conversation has got its id, and with it what was changed before.
  set conversation(id) {
    this.#conversation = id;
    for (const { name, field, value } of this.#unsavedOf(NEW)) {
      this.#storage.remove(name);
      this.change(field, value);
    }
  }

  change(field, value) {
    this.#storage.set(this.#name(field), value);
  }

  drop(field) {
    this.#storage.remove(this.#name(field));
  }

  // What the portal doesn't have yet; null when it has everything.
  unsaved(field) {
    return this.#storage.get(this.#name(field));
  }

  // Resolves when everything is saved that can be saved now.
  save() {
    this.#work = this.#work.then(this.#saveAll);
    return this.#work;
  }

  // → {status, json}: as the portal has them, once all that goes before is saved.
  read() {
    this.#work = this.#work.then(() => this.#requests.get(this.#address(this.#conversation)));
    return this.#work;
  }

  #saveAll = async () => {
    const isNew = this.#conversation === null && !this.isHeld;
    if (isNew && this.#unsavedOf(NEW).length > 0 && !(await this.#create())) return;
    for (const change of this.#unsaved()) {
      // What another page of this tab left behind before it got a conversation waits for the next such page.
      if (change.conversation !== NEW && !(await this.#saveOne(change))) return;
    }
  };

  async #create() {
    const { status, json } = await this.#requests.post(this.#chat);
    if (status !== 201 || json === null) {
      tell(this, "away");
      return false;
    }
    // A prompt may have made one meanwhile; then this one stays empty, and is listed nowhere.
    if (this.#conversation === null && !this.isHeld) {
      this.conversation = json.id;
      tell(this, "created", json);
    }
    return true;
  }

  async #saveOne({ name, conversation, field, value }) {
    const { status, json } = await this.#requests.post(this.#address(conversation), { [field]: value });
    const isCut = status === 200 && json === null;
    if (isCut || status >= 500 || TRY_AGAIN.includes(status)) {
      tell(this, "away");
      return false;
    }
    const isOutdated = this.#storage.get(name) !== value; // changed meanwhile; then that goes next
    if (!isOutdated) this.#storage.remove(name);
    if (isOutdated || conversation !== this.#conversation) return true;
    if (status === 200) tell(this, "saved", { field, details: json });
    else tell(this, "refused", { field, message: json?.errors?.[field] ?? null });
    return true;
  }

  #unsaved() {
    return this.#storage.names(START).map((name) => {
      const [, conversation, field] = name.split(".");
      return { name, conversation, field, value: this.#storage.get(name) };
    });
  }

  #unsavedOf(wanted) {
    return this.#unsaved().filter(({ conversation }) => conversation === wanted);
  }

  #name(field) {
    return `${START}${this.#conversation ?? NEW}.${field}`;
  }

  #address(conversation) {
    return `${this.#chat}${conversation}/details/`;
  }
}
