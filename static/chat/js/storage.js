// What this browser keeps for a user: drafts, and prompts that are not accepted yet.

export class Storage {
  #store;
  #prefix;

  constructor(store, user) {
    this.#store = store;
    this.#prefix = `chatsite.${user}.`;
  }

  get(name) {
    return this.#store.getItem(this.#prefix + name);
  }

  set(name, value) {
    this.#store.setItem(this.#prefix + name, value);
  }

  remove(name) {
    this.#store.removeItem(this.#prefix + name);
  }

  names(start) {
    const found = this.#store.names().filter((name) => name.startsWith(this.#prefix + start));
    return found.map((name) => name.slice(this.#prefix.length));
  }
}

// The browser's store, and memory for what it doesn't take where it is switched off or full.
export function sturdy(open) {
  const memory = new Map();
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
        store.setItem(name, value);
        memory.delete(name);
      } catch {
        // it stays in memory
      }
    },
  };
}
