// What this browser keeps for a user: drafts, and prompts that are not accepted yet. Falls back to memory where the
// browser keeps nothing.

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

  // All names that begin with `start`.
  names(start) {
    const whole = this.#prefix + start;
    const found = [];
    for (let index = 0; index < this.#store.length; index += 1) {
      const name = this.#store.key(index);
      if (name.startsWith(whole)) found.push(name.slice(this.#prefix.length));
    }
    return found;
  }
}

// The browser's store, or one in memory where it is switched off or full.
export function sturdy(open) {
  const memory = new MemoryStore();
  let store;
  try {
    store = open();
    store.length;
  } catch {
    return memory;
  }
  return {
    get length() {
      return store.length + memory.length;
    },
    key: (index) => (index < store.length ? store.key(index) : memory.key(index - store.length)),
    getItem: (name) => memory.getItem(name) ?? store.getItem(name),
    removeItem(name) {
      memory.removeItem(name);
      store.removeItem(name);
    },
    setItem(name, value) {
      try {
        store.setItem(name, value);
        memory.removeItem(name);
      } catch {
        memory.setItem(name, value);
      }
    },
  };
}

export class MemoryStore {
  #items = new Map();

  get length() {
    return this.#items.size;
  }

  key(index) {
    return [...this.#items.keys()][index] ?? null;
  }

  getItem(name) {
    return this.#items.get(name) ?? null;
  }

  setItem(name, value) {
    this.#items.set(name, String(value));
  }

  removeItem(name) {
    this.#items.delete(name);
  }
}
