// @ts-check
// What this browser keeps for a user: drafts, and prompts that are not accepted yet.

/**
 * @import { Store } from "chat/types"
 */

export class Storage {
  #store;
  #prefix;

  /**
   * @param {Store} store
   * @param {number} user
   */
  constructor(store, user) {
    this.#store = store;
    this.#prefix = `chatsite.${user}.`;
  }

  /** @param {string} name */
  get(name) {
    return this.#store.getItem(this.#prefix + name);
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  set(name, value) {
    this.#store.setItem(this.#prefix + name, value);
  }

  /** @param {string} name */
  remove(name) {
    this.#store.removeItem(this.#prefix + name);
  }

  /** @param {string} start */
  names(start) {
    const found = this.#store.names().filter((name) => name.startsWith(this.#prefix + start));
    return found.map((name) => name.slice(this.#prefix.length));
  }
}

/**
 * The browser's store, and memory for what it doesn't take where it is switched off or full.
 * @param {() => globalThis.Storage | null} open
 * @returns {Store}
 */
export function withFallback(open) {
  /** @type {Map<string, string>} */
  const memory = new Map();
  /** @type {globalThis.Storage | null} */
  let store = null;
  try {
    store = open();
  } catch {
    // the browser allows none
  }
  return {
    names: () => [...memory.keys(), ...Object.keys(store ?? {})],
    getItem: (name) => memory.get(name) ?? store?.getItem(name) ?? null,
    removeItem(name) {
      memory.delete(name);
      store?.removeItem(name);
    },
    setItem(name, value) {
      memory.set(name, String(value));
      try {
        if (store === null) return;
        store.setItem(name, value);
        memory.delete(name);
      } catch {
        // it stays in memory
      }
    },
  };
}
