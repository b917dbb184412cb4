// @ts-check
// Light, dark, or as the system has it. A cookie is for the server, so that the next page comes in the right one at
// once; what is called "theme" in the browser's store is for the admin's pages, and the other tabs.

/**
 * @import { Store } from "chat/types"
 */

const COOKIE = "chatsite_theme";
const YEAR_S = 31_536_000;
const SHARED = "theme";
const SHARED_SYSTEM = "auto";
/** @typedef {keyof typeof SCHEMES} Choice */
const SCHEMES = { light: "light", dark: "dark", system: "light dark" };

export class Theme {
  #choices;
  #store;

  /**
   * @param {HTMLElement} choices
   * @param {Store} store
   */
  constructor(choices, store) {
    this.#choices = choices;
    this.#store = store;
  }

  start() {
    this.#choices.addEventListener("change", this.#choose);
    addEventListener("storage", this.#follow);
  }

  /** @type {(event: Event) => void} */
  #choose = ({ target }) => {
    const { value } = /** @type {HTMLInputElement} */ (target);
    if (!isChoice(value)) return;
    this.#apply(value);
    this.#store.setItem(SHARED, value === "system" ? SHARED_SYSTEM : value);
  };

  /**
   * Another tab has chosen, or a page of the admin.
   * @type {(event: StorageEvent) => void}
   */
  #follow = ({ key, newValue }) => {
    if (key !== SHARED || newValue === null) return;
    const theme = newValue === SHARED_SYSTEM ? "system" : newValue;
    if (!isChoice(theme)) return;
    this.#apply(theme);
    /** @type {HTMLInputElement} */ (this.#choices.querySelector(`[value=${theme}]`)).checked = true;
  };

  /** @param {Choice} theme */
  #apply(theme) {
    const { dataset } = document.documentElement;
    if (theme === "system") delete dataset.theme;
    else dataset.theme = theme;
    const scheme = /** @type {HTMLMetaElement} */ (document.querySelector("meta[name=color-scheme]"));
    scheme.content = SCHEMES[theme];
    const age = theme === "system" ? 0 : YEAR_S;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API is there only on https and on this machine.
    document.cookie = `${COOKIE}=${theme}; Path=/; Max-Age=${age}; SameSite=Lax${secure}`;
  }
}

/**
 * @param {string} theme
 * @returns {theme is Choice}
 */
function isChoice(theme) {
  return Object.hasOwn(SCHEMES, theme);
}
