// @ts-check
// Prompts on their way: each is kept until it is accepted or refused, and sent again with the same key after every
// reconnect. One stored item for each, so that two tabs never write over each other.

/**
 * @import { Storage } from "chat/storage"
 * @import { ContinueCommand, RegenerateCommand, SendCommand } from "chat/wire"
 */

import { bytesInHex } from "chat/stream";

const START = "outbox.";
const FOREIGN_AFTER_MS = 10_000;

/**
 * @typedef {SendCommand | RegenerateCommand | ContinueCommand} PromptCommand
 * @typedef {{ command: PromptCommand, tab: string, at: number }} Entry
 */

export class Outbox {
  #storage;
  #tab;
  #now;
  /** @type {Map<string, Entry>} */
  #held;

  /**
   * @param {Storage} storage
   * @param {string} tab
   * @param {() => number} [now]
   */
  constructor(storage, tab, now = Date.now) {
    this.#storage = storage;
    this.#tab = tab;
    this.#now = now;
    const own = this.#stored().filter((entry) => entry.tab === tab);
    this.#held = new Map(own.map((entry) => [entry.command.key, entry]));
  }

  /**
   * @param {PromptCommand} command
   * @returns {Entry}
   */
  add(command) {
    const entry = { command, tab: this.#tab, at: this.#now() };
    this.#storage.set(START + command.key, JSON.stringify(entry));
    this.#held.set(command.key, entry);
    return entry;
  }

  /**
   * A tab's own stays known to it when another one sent it too and was faster to remove it.
   * @param {string} key
   * @returns {Entry | null}
   */
  get(key) {
    return read(this.#storage.get(START + key)) ?? this.#held.get(key) ?? null;
  }

  /** @param {string} key */
  remove(key) {
    const entry = this.get(key);
    this.#storage.remove(START + key);
    this.#held.delete(key);
    return entry;
  }

  get isEmpty() {
    return this.#stored().length === 0;
  }

  // Forgets everything, of all tabs: whoever comes next at this browser is not to find it.
  clear() {
    this.#stored().forEach(({ command }) => this.remove(command.key));
  }

  // What this tab wrote, also before it was loaded again; oldest first.
  mine() {
    return [...this.#held.values()];
  }

  // What is to be sent after a reconnect: one's own, and what tabs left behind that seem to be gone.
  due() {
    const before = this.#now() - FOREIGN_AFTER_MS;
    const foreign = this.#stored().filter((entry) => !this.isMine(entry) && entry.at < before);
    return [...this.mine(), ...foreign];
  }

  /** @param {Entry} entry */
  isMine(entry) {
    return this.#held.has(entry.command.key);
  }

  /**
   * The command that asks for another answer than `message` and is on its way, from whichever tab; null without one.
   * @param {string} message
   */
  anotherOf(message) {
    return this.#stored().find(({ command }) => answered(command) === message)?.command ?? null;
  }

  #stored() {
    const entries = this.#storage.names(START).map((name) => read(this.#storage.get(name)));
    return entries.filter((entry) => entry !== null).sort((one, other) => one.at - other.at);
  }
}

/**
 * The message that another answer is asked for; undefined for a prompt.
 * @param {PromptCommand} command
 */
export function answered(command) {
  return command.type === "send" ? undefined : command.message;
}

// A UUID for a new intent. `crypto.randomUUID` would be there only on https and on this machine.
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return bytesInHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/**
 * @param {string | null} text
 * @returns {Entry | null}
 */
function read(text) {
  if (text === null) return null;
  try {
    const entry = JSON.parse(text);
    return typeof entry?.command?.key === "string" ? entry : null;
  } catch {
    return null;
  }
}
